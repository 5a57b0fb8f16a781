"""`calotype info`: what a file says about itself."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .batch import read_bytes, run
from .jobs import Job, Record
from .options import Json

if TYPE_CHECKING:
    from ..api import FileInfo


def info(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files; - is stdin.")],
    json: Json = False,
) -> None:
    """Show what .calo files contain, without decoding them."""
    from .. import api

    def work(job: Job) -> Record:
        started = time.perf_counter()
        about = api.info(read_bytes(job.input))
        if not json:
            print(describe(job.input, about))
        seconds = round(time.perf_counter() - started, 4)
        return {"input": job.input, "output": None, "seconds": seconds, **asdict(about)}

    run([Job(file) for file in files], work, json, None)


def describe(name: str, about: FileInfo) -> str:
    """Several lines for people."""
    views = f"{'x'.join(map(str, about.views))} views of " if about.views else ""
    parts = [f"{tag} {size:,}" for tag, size in about.chunks]
    frame = about.bytes - sum(size for _, size in about.chunks)
    blocks = [f"{kind} {size:,}" for kind, size in about.metadata.items()]
    rows = {
        "file": name,
        "model": about.model or f"not installed ({about.codec}, weights {about.digest})",
        "codec": f"{about.codec}, version {about.wire_version}, weights {about.digest}",
        "image": f"{views}{about.width}x{about.height} {about.mode}, {about.depth} bits",
        "size": f"{about.bytes:,} bytes, {about.bpp:.4f} bpp",
        "chunks": f"{', '.join(parts)}; header and checksums {frame}",
        "metadata": ", ".join(blocks) or "none",
    }
    if about.layers:
        rows["layers"] = f"{len(about.layers)}: {', '.join(f'{size:,}' for size in about.layers)} bytes"
    if about.max_error:
        rows["error"] = f"no sample is off by more than {about.max_error}; the largest error is {about.largest_error}"
    return "\n".join(f"{key + ':':<10}{value}" for key, value in rows.items())
