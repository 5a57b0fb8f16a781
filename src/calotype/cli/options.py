"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

LIMIT = 500_000_000  # as container.DEFAULT_MAX_PIXELS

Out = Annotated[
    str | None,
    typer.Option("-o", "--output", help="File, or folder for several inputs; - is stdout. Default: beside the input."),
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Overwrite files.")]
Skip = Annotated[bool, typer.Option("-n", "--skip-existing", help="Skip what is there already: go on with a cut run.")]
Jobs = Annotated[
    int, typer.Option("-j", "--jobs", min=0, help="Processes for several inputs, with a thread each; 0: one per core.")
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Run networks with PyTorch on cpu, cuda, cuda:1 ... Default: ONNX Runtime."),
]
Threads = Annotated[int, typer.Option("-T", "--threads", min=0, help="Processor threads; 0: up to the machine.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per input on stdout.")]
MaxPixels = Annotated[int, typer.Option("--max-pixels", min=1, help="Refuse larger pictures.")]


def parse_region(text: str) -> tuple[int, int, int, int]:
    """X,Y,W,H in pixels."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not X,Y,W,H in pixels") from None
    if min(x, y) < 0 or min(width, height) < 1:
        raise typer.BadParameter(f"{text!r}: X and Y start at 0, W and H at 1")
    return x, y, width, height
