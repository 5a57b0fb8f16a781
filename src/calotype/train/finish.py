"""What a weights file is given after training, from images: int8 networks, and what its entropy coder begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from ..errors import Unsupported
from ..image import Pixels
from ..registry import ModelInfo, find
from ..runtime.weights import COMPANIONS, Weights, companion_path, rebind
from .data import load_tiles
from .protocol import codec_part


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
    card, weights_path, codec = _open(model, "quantise", "no int8 version")
    path = companion_path(weights_path)
    tiles = _spread(data, count)
    companion = codec.quantise(Weights.open(weights_path), tiles)
    path.write_bytes(companion)
    _rewrite(card, int8={"bytes": len(companion), "tiles": len(tiles)})
    return path


def adapt_model(model: str, data: list[Path], count: int) -> Path:
    """Fit what a model's entropy coder begins with to images, anew, and rewrite its weights file; returns its path.

    The networks do not change, so files that were coded without stay readable; those that were coded with what it
    began with before do not. Takes and raises what `quantise_model` does.
    """
    card, path, codec = _open(model, "adapt", "no entropy coder that adapts")
    before = Weights.open(path)
    tiles = _spread(data, count)
    data_after: bytes = codec.adapt(before, tiles)
    after = Weights(data_after, str(path))
    companions = {
        companion_path(path, kind): rebind(before.companion(kind), after.digest)
        for kind in COMPANIONS
        if before.has_companion(kind)
    }
    for place, content in ({path: data_after} | companions).items():
        place.write_bytes(content)
    reads = [*card.card.get("reads", ()), *([] if codec.adapts(before) else [card.digest.hex()])]
    _rewrite(card, digest=after.digest.hex(), reads=reads, bytes=len(data_after), adaptive={"tiles": len(tiles)})
    return path


def _open(model: str, part: str, lacking: str) -> tuple[ModelInfo, Path, Any]:
    """A model's card and weights file, and the module of its codec that does the work."""
    card = find(model)
    module = codec_part(card.codec, part)
    if module is None or card.weights is None:
        raise Unsupported(f"the codec {card.codec!r} has {lacking}")
    return card, card.weights, module


def _spread(data: list[Path], count: int) -> list[Pixels]:
    """So many tiles of the training data, spread evenly; all, if there are fewer."""
    tiles, _ = load_tiles(data)
    chosen = np.unique(np.linspace(0, len(tiles) - 1, count).round().astype(int))
    return [tiles[index].permute(1, 2, 0).numpy() for index in chosen]


def _rewrite(card: ModelInfo, **changed: Any) -> None:
    card.path.write_text(tomli_w.dumps({**card.card, **changed}), encoding="utf-8")
