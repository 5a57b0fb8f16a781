"""Int8 networks for a weights file, calibrated on training images."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import tomli_w

from ..errors import Unsupported
from ..registry import find, package
from ..runtime.weights import Weights, companion_path
from .data import load_tiles


def quantise_model(model: str, data: list[Path], count: int) -> Path:
    """Write the int8 companion of a model beside its weights file, and its size into the card; returns its path.

    Parameters
    ----------
    model
        Name, or path of the weights file.
    data
        Images as for training; `count` of their tiles are taken, spread evenly.

    Raises
    ------
    Unsupported
        The codec or the recipe has no int8 version.
    CalotypeError
        The model or the images are not there.
    """
    card = find(model)
    name = f"{package(card.codec)}.quantise"
    try:
        codec = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise Unsupported(f"the codec {card.codec!r} has no int8 version") from None
    tiles, _ = load_tiles(data)
    chosen = np.unique(np.linspace(0, len(tiles) - 1, count).round().astype(int))
    assert card.weights is not None  # int8 networks are of weights
    path = companion_path(card.weights)
    companion = codec.quantise(Weights.open(card.weights), (tiles[index].permute(1, 2, 0).numpy() for index in chosen))
    path.write_bytes(companion)
    table = {**card.card, "int8": {"bytes": len(companion), "tiles": len(chosen)}}
    card.path.write_text(tomli_w.dumps(table), encoding="utf-8")
    return path
