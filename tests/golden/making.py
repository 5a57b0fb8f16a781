"""What the scripts `tests/golden/<codec>/make.py` share.

Each says how the golden files beside it were made: `python -m tests.golden.vae.make`. They stay as they are for ever.
A new one is added beside the old ones when the format grows; an old one changes only with a new wire version and a line
in CHANGELOG. Models are small and untrained, so that better weights of the package do not touch these files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import calotype
from calotype.image import Image, Metadata
from calotype.runtime.weights import Weights
from tests.specimens import stir, write_weights

SOURCE = "tests/golden/make.py"  # as the frozen recipes say: once all was made there


def texture(channels: int) -> np.ndarray:
    """(70, 90, channels), smooth, with some texture; the same for ever."""
    y, x = np.mgrid[:70, :90]
    planes = [(x * (3 + c) + y * (5 - c) + (x * y * (c + 1)) % 23) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def load(
    path: Path, name: str, build: Callable[[], Any], freeze: Callable[[Any], bytes], scale: float
) -> calotype.Model:
    """The model of a weights file, which is made if it is not there."""
    import torch

    if not path.exists():
        torch.manual_seed(0)
        model = build()
        stir(model, scale)
        write_weights(path, Weights(freeze(model), name))
    return calotype.load(str(path))


def add(file: Path, model: calotype.Model, pixels: np.ndarray, **options: Any) -> None:
    """Write a file and what it decodes to, unless it is there."""
    if file.exists():
        return
    metadata = Metadata(icc=b"profile", exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0", xmp=b"<x/>")
    data = model.encode(Image(pixels, metadata=metadata if pixels.shape[-1] == 4 else Metadata()), **options)
    file.write_bytes(data)
    calotype.write(file.with_suffix(".png"), model.decode_image(data))
