"""`calotype encode`: images to `.calo` files."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import EncodeOptions
from .batch import check_output, noting, read_image, record_of, refuse_both, refuse_coded, run_files, share
from .jobs import Job, Made, plan, plan_views, split_output
from .options import LIMIT, Device, Force, Jobs, Json, MaxPixels, Out, Recursive, Skip, Strip, complete_model, takes

if TYPE_CHECKING:
    from ..image import Image


@takes(EncodeOptions)
def encode(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Images or folders; - is stdin.")],
    options: EncodeOptions,
    out: Out = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", help="Name (see `calotype models`) or a .calow file.", autocompletion=complete_model
        ),
    ] = None,
    views: Annotated[
        bool, typer.Option("--views", help="All inputs are views of one scene, in order, and become one file.")
    ] = False,
    view_rows: Annotated[
        int, typer.Option("--view-rows", min=0, help="The views are a light field of so many rows.")
    ] = 0,
    recursive: Recursive = False,
    force: Force = False,
    skip: Skip = False,
    strip: Strip = False,
    jobs: Jobs = 0,
    device: Device = None,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Shrink images to .calo files.

    Several inputs, or a folder (the images directly in it, sorted by name), become files named after the
    input's stem: a.calo; or where both a.jpg and a.png are there, a.jpg.calo and a.png.calo. One that fails does
    not stop the others; the exit status is 1 then. INPUT x.calo is as INPUT -o x.calo.
    """
    refuse_both(force, skip)
    if view_rows and not views:
        raise typer.BadParameter("--view-rows arranges views; give --views, too")
    from .. import api
    from ..io import IMAGE_ENDINGS
    from ..runtime.engine import resolve_device

    if views:
        work = [plan_views(inputs, out, api.ENDING, IMAGE_ENDINGS, recursive=recursive, as_json=json)]
    else:
        inputs, out = split_output(inputs, out, {api.ENDING})
        work = plan(inputs, out, api.ENDING, IMAGE_ENDINGS, recursive=recursive, as_json=json)
    if not force:
        _refuse_slips(work, IMAGE_ENDINGS)
    api.find(model, options)  # a wrong model or option is one error, not one for each image
    device = resolve_device(device)
    processes, threads = share(jobs, options.threads, device, len(work))
    make = _Encode(model, device, replace(options, threads=threads), view_rows, strip, max_pixels, force)
    run_files(work, make, processes, force=force, skip=skip, as_json=json, verb="encoding")


def _refuse_slips(work: list[Job], endings: Collection[str]) -> None:
    """A `.calo` file is given the name of an image only if that is meant. Raises a usage error."""
    for output in (Path(job.output) for job in work if job.output is not None):
        if output.suffix.lower() in endings:
            raise typer.BadParameter(
                f"{output} would be a .calo file with the name of an image; -o {output.with_suffix('.calo')} "
                "is usual, -f does it all the same"
            )


@dataclass(frozen=True)
class _Encode:
    """One image to the bytes of a file, in any process."""

    model: str | None
    device: str | None
    options: EncodeOptions
    view_rows: int
    strip: bool
    max_pixels: int
    force: bool

    def __call__(self, job: Job) -> Made:
        from .. import api
        from ..image import Metadata

        assert job.output is not None
        model = api.choose(self.model, self.options, self.device)
        started = time.perf_counter()
        with noting() as notes:
            image = self._read(job, model.is_exact(self.options))
            check_output(job, job.output, self.force)
            if self.strip:
                image = replace(image, metadata=Metadata())
            data = model.encode_with(image, self.options)
            coder = api.info(data).model
            if coder != model.name:
                notes.append(f"{coder} codes it, without loss: no photograph, and smaller or better so")
        record = record_of(job, image, len(data), time.perf_counter() - started, model=coder)
        return Made(record, ((job.output, data),), tuple(notes))

    def _read(self, job: Job, exact: bool) -> Image:
        from ..image import Image

        if not self.force:
            for name in job.views or (job.input,):
                refuse_coded(name)
        if not job.views:
            return read_image(job.input, self.options.threads, self.max_pixels, exact)
        images = [read_image(name, self.options.threads, self.max_pixels, exact) for name in job.views]
        return Image.of_views(images, self.view_rows or None)
