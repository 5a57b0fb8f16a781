"""`calotype decode`: `.calo` files to pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer

from .batch import STREAM, Job, Made, plan, read_bytes, record_of, refuse_both, run_files, share
from .options import LIMIT, Device, Force, Jobs, Json, MaxPixels, Out, Skip, Threads, parse_region


def decode(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files or folders; - is stdin.")],
    out: Out = None,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Decode only this rectangle, in pixels.")
    ] = None,
    force: Force = False,
    skip: Skip = False,
    jobs: Jobs = 0,
    threads: Threads = 0,
    device: Device = None,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Open .calo files: write them as pictures, with their metadata.

    The format follows from the ending of the output: png, tif, webp (lossless), bmp, ppm, jpg (quality 95).
    Several files, or a folder, become PNG files named after the input's stem; stdout gets PNG.
    """
    rectangle = None if region is None else parse_region(region)
    refuse_both(force, skip)
    from .. import api
    from ..runtime.engine import resolve_device

    work = plan(files, out, ".png", {api.ENDING}, json)
    device = resolve_device(device)
    processes, threads = share(jobs, threads, device, len(work))
    make = _Decode(rectangle, device, threads, max_pixels)
    run_files(work, make, processes, force=force, skip=skip, as_json=json, verb="decoding")


@dataclass(frozen=True)
class _Decode:
    """One file to the bytes of a picture, in any process."""

    region: tuple[int, int, int, int] | None
    device: str | None
    threads: int
    max_pixels: int

    def __call__(self, job: Job) -> Made:
        from .. import api, io

        assert job.output is not None
        format = "PNG" if job.output == STREAM else io.format_of(job.output)
        started = time.perf_counter()
        data = read_bytes(job.input)
        image = api.decode_image(
            data, region=self.region, threads=self.threads, max_pixels=self.max_pixels, device=self.device
        )
        picture = io.encode_image(image, format)
        return Made(record_of(job, image, len(data), time.perf_counter() - started), picture)
