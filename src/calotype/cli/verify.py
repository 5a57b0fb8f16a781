"""`calotype verify`: whether a file is good."""

from __future__ import annotations

import time
import warnings
from typing import Annotated

import typer

from ..errors import CorruptFile, PartialFile
from .batch import read_bytes, record_of, run
from .jobs import Job, Record
from .options import LIMIT, Json, MaxPixels, Threads


def verify(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files; - is stdin.")],
    threads: Threads = 0,
    json: Json = False,
    max_pixels: MaxPixels = LIMIT,
) -> None:
    """Decode and check everything, write nothing. Exit status 0: the file is good."""
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
        if not json:
            print(f"{job.input}: good, {image.width}x{image.height} {image.mode}")
        return record_of(job, image, len(data), time.perf_counter() - started)

    run([Job(file) for file in files], work, json, None)
