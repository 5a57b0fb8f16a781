"""`calotype quantise`: int8 networks for a model, for speed on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantise(
    model: Annotated[str, typer.Argument(help="Name of a model, or its weights file.")],
    data: Annotated[list[Path], typer.Option(help="Folder or tar archive of images; may be repeated.")],
    tiles: Annotated[int, typer.Option(min=2, help="Tiles to calibrate on.")] = 128,
) -> None:
    """Write int8 networks of MODEL beside its weights.

    They are calibrated on training images, never on those to be measured. Files do not depend on them.
    """
    from ..train.finish import quantise_model

    print(quantise_model(model, data, tiles))
