"""`calotype verify`: whether a file is good."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BoundExceeded, CorruptFile, PartialFile, Unsupported
from .batch import read_bytes, read_image, record_of, run
from .jobs import STREAM, Job, Record
from .options import LIMIT, Json, MaxPixels, Threads

if TYPE_CHECKING:
    from ..image import Image


def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files; - is stdin.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="ORIGINAL",
            help="Check too that no sample is further from this image than the file promises; of one FILE.",
        ),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Decode and check everything, write nothing. Exit status 0: the file is good."""
    if against is not None and (len(files) > 1 or against == files[0] == STREAM):
        raise typer.BadParameter("--against takes one FILE, and only one of the two can be stdin")
    from .. import api

    def work(job: Job) -> Record:
        started = time.perf_counter()
        data = read_bytes(job.input)
        with warnings.catch_warnings():
            warnings.simplefilter("error", PartialFile)
            try:
                image = api.decode_image(data, threads=threads, max_pixels=max_pixels)
            except PartialFile as cut:
                raise CorruptFile(str(cut)) from None
        found: dict[str, int] = {}
        if against is not None:
            found["max_error"] = _promised(api.info(data).max_error)
            found["largest_error"] = _compare(
                image, read_image(against, threads, max_pixels, exact=True), found["max_error"]
            )
        if not json:
            error = f", off by {found['largest_error']} of {found['max_error']} at most" if found else ""
            print(f"{job.input}: good, {image.width}x{image.height} {image.mode}{error}")
        return record_of(job, image, len(data), time.perf_counter() - started, **found)

    run([Job(file) for file in files], work, json, None)


def _promised(bound: int | None) -> int:
    if bound is None:
        raise Unsupported("the file promises nothing about its samples; `calotype compare` says how far they are off")
    return bound


def _compare(image: Image, original: Image, bound: int) -> int:
    """The largest error. Raises `BoundExceeded` where it is above the bound, `Unsupported` where there is none."""
    from ..image import largest_error

    if (image.pixels.shape, image.depth) != (original.pixels.shape, original.depth):
        raise Unsupported(
            f"the file holds {image.width}x{image.height} {image.mode} of {image.depth} bits, the original "
            f"{original.width}x{original.height} {original.mode} of {original.depth}; it is not of this image"
        )
    error = largest_error(image, original)
    if error > bound:
        raise BoundExceeded(f"a sample is off by {error}, and the file promises {bound}; it is not of this image")
    return error
