"""`calotype encode`: pictures to `.calo` files."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import Annotated

import typer

from .batch import Job, Record, check_output, plan, read_picture, record_of, run, write_output
from .options import LIMIT, Force, Json, MaxPixels, Out, Threads


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
    force: Force = False,
    strip: Annotated[bool, typer.Option("--strip", help="Leave out ICC, Exif and XMP.")] = False,
    threads: Threads = 0,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Shrink pictures to .calo files.

    Several inputs, or a folder (the pictures directly in it, sorted by name), become files named after the
    input's stem. One that fails does not stop the others; the exit status is 1 then.
    """
    if sum(option is not None for option in (quality, target_bpp, target_size)) > 1:
        raise typer.BadParameter("give only one of -q, --target-bpp and --target-size")
    from .. import api
    from ..image import Metadata
    from ..io import PICTURE_ENDINGS

    load = functools.cache(lambda: api.load(model))

    def work(job: Job) -> Record:
        assert job.output is not None
        check_output(job.output, force)
        chosen = load()
        started = time.perf_counter()
        image = read_picture(job.input, threads, max_pixels)
        if strip:
            image = replace(image, metadata=Metadata())
        data = chosen.encode(image, quality, target_bytes=target_size, target_bpp=target_bpp, threads=threads)
        write_output(job.output, data, force)
        return record_of(job, image, len(data), time.perf_counter() - started, model=chosen.name)

    run(plan(inputs, out, api.ENDING, PICTURE_ENDINGS, json), work, json, "encoding")
