"""`calotype curves`: training runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FORMATS = (".svg", ".png", ".pdf")


def curves(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Folders of training runs.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Image to write: .svg, .png or .pdf. Default: none.")
    ] = None,
) -> None:
    """Compare training RUNS on tiles that they were not trained on.

    Prints steps, minutes, loss, and the BD-rate to the first run. The image shows the loss against minutes and the
    rate-distortion curves.
    """
    from ..evaluate.report.plot import plot_runs
    from ..evaluate.tables.runs import read_log, table

    if out is not None and out.suffix not in FORMATS:
        raise typer.BadParameter(f"{out} ends in none of {', '.join(FORMATS)}")
    logs = [read_log(folder) for folder in runs]
    print(table(logs))
    if out is not None:
        plot_runs(logs, out)
