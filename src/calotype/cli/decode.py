"""`calotype decode`: `.calo` files to pictures."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from .batch import STREAM, Job, Record, check_output, plan, read_bytes, record_of, run, write_output
from .options import LIMIT, Force, Json, MaxPixels, Out, Threads, parse_region


def decode(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files or folders; - is stdin.")],
    out: Out = None,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Decode only this rectangle, in pixels.")
    ] = None,
    force: Force = False,
    threads: Threads = 0,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Open .calo files: write them as pictures, with their metadata.

    The format follows from the ending of the output: png, tif, webp (lossless), bmp, ppm, jpg (quality 95).
    Several files, or a folder, become PNG files named after the input's stem; stdout gets PNG.
    """
    rectangle = None if region is None else parse_region(region)
    from .. import api, io

    def work(job: Job) -> Record:
        assert job.output is not None
        check_output(job.output, force)
        format = "PNG" if job.output == STREAM else io.format_of(job.output)
        started = time.perf_counter()
        data = read_bytes(job.input)
        image = api.decode_image(data, region=rectangle, threads=threads, max_pixels=max_pixels)
        write_output(job.output, io.encode_image(image, format), force)
        return record_of(job, image, len(data), time.perf_counter() - started)

    run(plan(files, out, ".png", {api.ENDING}, json), work, json, "decoding")
