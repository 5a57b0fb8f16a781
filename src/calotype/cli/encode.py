"""`calotype encode`: pictures to `.calo` files."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from .batch import Job, Made, plan, read_picture, record_of, refuse_both, run_files, share
from .options import LIMIT, Device, Force, Jobs, Json, MaxPixels, Out, Skip, Threads


def encode(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Pictures or folders; - is stdin.")],
    out: Out = None,
    quality: Annotated[
        float | None, typer.Option("-q", "--quality", min=0, max=100, help="0 (smallest) to 100 (best).")
    ] = None,
    target_bpp: Annotated[
        float | None, typer.Option(min=0, help="Largest file of at most so many bits per pixel.")
    ] = None,
    target_size: Annotated[int | None, typer.Option(min=1, help="Largest file of at most so many bytes.")] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Name (see `calotype models`) or a .calow file.")
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Every pixel comes back as it was; takes a lossless model.")
    ] = False,
    effort: Annotated[
        int | None,
        typer.Option(
            "-e", "--effort", min=1, max=9, help="1 (quickest) to 9 (smallest file), of models that have efforts."
        ),
    ] = None,
    force: Force = False,
    skip: Skip = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out ICC, Exif and XMP.")] = False,
    jobs: Jobs = 0,
    threads: Threads = 0,
    device: Device = None,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Shrink pictures to .calo files.

    Several inputs, or a folder (the pictures directly in it, sorted by name), become files named after the
    input's stem. One that fails does not stop the others; the exit status is 1 then.
    """
    if sum(option is not None for option in (quality, target_bpp, target_size)) > 1:
        raise typer.BadParameter("give only one of -q, --target-bpp and --target-size")
    if lossless and quality is not None:
        raise typer.BadParameter("lossless files have no quality; give only one of -q and --lossless")
    refuse_both(force, skip)
    from .. import api, registry
    from ..io import PICTURE_ENDINGS
    from ..runtime.engine import resolve_device

    work = plan(inputs, out, api.ENDING, PICTURE_ENDINGS, json)
    registry.find(model, lossless)  # a wrong model is one error, not one for each picture
    device = resolve_device(device)
    processes, threads = share(jobs, threads, device, len(work))
    make = _Encode(model, lossless, device, quality, target_size, target_bpp, effort, strip, threads, max_pixels)
    run_files(work, make, processes, force=force, skip=skip, as_json=json, verb="encoding")


@dataclass(frozen=True)
class _Encode:
    """One picture to the bytes of a file, in any process."""

    model: str | None
    lossless: bool
    device: str | None
    quality: float | None
    target_size: int | None
    target_bpp: float | None
    effort: int | None
    strip: bool
    threads: int
    max_pixels: int

    def __call__(self, job: Job) -> Made:
        from .. import api
        from ..image import Metadata

        model = api.load(self.model, lossless=self.lossless, device=self.device)
        started = time.perf_counter()
        image = read_picture(job.input, self.threads, self.max_pixels)
        if self.strip:
            image = replace(image, metadata=Metadata())
        data = model.encode(
            image,
            self.quality,
            target_bytes=self.target_size,
            target_bpp=self.target_bpp,
            effort=self.effort,
            threads=self.threads,
        )
        return Made(record_of(job, image, len(data), time.perf_counter() - started, model=model.name), data)
