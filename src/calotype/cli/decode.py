"""`calotype decode`: `.calo` files to images."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import Unsupported
from ..options import DecodeOptions
from .batch import check_output, noting, read_bytes, record_of, refuse_both, run_files, share
from .jobs import STREAM, Job, Made, paths_of_views, plan, split_output
from .options import Device, Force, Jobs, Json, Out, Recursive, Skip, Strip, takes

if TYPE_CHECKING:
    from ..image import Image


@takes(DecodeOptions)
def decode(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files or folders; - is stdin.")],
    options: DecodeOptions,
    out: Out = None,
    recursive: Recursive = False,
    force: Force = False,
    skip: Skip = False,
    strip: Strip = False,
    jobs: Jobs = 0,
    device: Device = None,
    json: Json = False,
) -> None:
    """Open .calo files: write them as images, with their metadata.

    The format follows from the ending of the output: png, tif, webp (lossless), bmp, ppm, jpg (quality 95).
    Several files, or a folder, become PNG files named after the input's stem; stdout gets PNG. FILE x.jpg is as
    FILE -o x.jpg.
    The views of a file with several become files with their numbers: pair.0.png, pair.1.png.
    """
    refuse_both(force, skip)
    from .. import api
    from ..io import WRITE_FORMATS
    from ..runtime.engine import resolve_device

    files, out = split_output(files, out, WRITE_FORMATS)
    work = plan(files, out, ".png", {api.ENDING}, recursive=recursive, as_json=json)
    device = resolve_device(device)
    processes, threads = share(jobs, options.threads, device, len(work))
    make = _Decode(replace(options, threads=threads), device, force, strip)
    run_files(work, make, processes, force=force, skip=skip, as_json=json, verb="decoding")


@dataclass(frozen=True)
class _Decode:
    """One file to the bytes of one or several images, in any process."""

    options: DecodeOptions
    device: str | None
    force: bool
    strip: bool

    def __call__(self, job: Job) -> Made:
        from .. import api
        from ..container import unpack_cut
        from ..image import Metadata

        assert job.output is not None
        started = time.perf_counter()
        data = read_bytes(job.input)
        header, _, _ = unpack_cut(data, self.options.max_pixels)  # intact
        if len(header.shape) == 3:  # views have names of their own, which are looked at later
            check_output(job, job.output, self.force)
        with noting() as notes:
            image = api.decode_with(data, self.options, self.device)
            if self.strip:
                image = replace(image, metadata=Metadata())
            files = _files(job, image)
        record = record_of(job, image, len(data), time.perf_counter() - started, header.pixels)
        if len(files) > 1:
            record["output"] = [path for path, _ in files]
        return Made(record, files, tuple(notes))


def _files(job: Job, image: Image) -> tuple[tuple[str, bytes], ...]:
    """The output, or one for each view."""
    from .. import io

    assert job.output is not None
    format = "PNG" if job.output == STREAM else io.format_of(job.output)
    if not image.views:
        return ((job.output, io.encode_image(image, format)),)
    if job.output == STREAM:
        raise Unsupported("stdout takes one image, and the file has several views; choose one with --view")
    views = product(*map(range, image.views))
    paths = paths_of_views(job.output, image.views)
    return tuple((path, io.encode_image(image.view(*index), format)) for path, index in zip(paths, views, strict=True))
