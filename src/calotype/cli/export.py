"""`calotype export`: a training run becomes a weights file and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the weights file and its card.")],
) -> None:
    """Turn a training RUN into weights and a card.

    They are named after the recipe: a .calow and a .toml file.
    A folder of weights named in CALOTYPE_WEIGHTS is found by every other command.
    """
    from ..train.export import export_run

    print(export_run(run, out))
