"""`calotype adapt`: what a model's entropy coder begins with, fitted to images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def adapt(
    model: Annotated[str, typer.Argument(help="Name of a model, or its weights file.")],
    data: Annotated[list[Path], typer.Option(help="Folder or tar archive of images; may be repeated.")],
    tiles: Annotated[int, typer.Option(min=2, help="Tiles to fit to.")] = 128,
) -> None:
    """Fit what MODEL's entropy coder begins with to training images.

    It rewrites the weights file, after training and before `quantise`. Networks stay as they are.
    """
    from ..train.finish import adapt_model

    print(adapt_model(model, data, tiles))
