"""The coarsest samples of joint recipes, coded without a network. No PyTorch here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...coding import Coder
from ...coding.grey import code_plane
from .units import COLOURS

Bytes = npt.NDArray[np.uint8]

_MIDDLE = np.uint8(128)  # of differences of colours, modulo 256


def code_coarsest(coder: Coder, samples: Bytes | None, shape: tuple[int, int]) -> Bytes:
    """Code samples (3, *shape), or decode where they are None: green, then how red and blue differ from it."""
    planes: list[Bytes | None] = [None] * COLOURS
    if samples is not None:
        red, green, blue = samples
        planes = [green, red - green + _MIDDLE, blue - green + _MIDDLE]
    green, red, blue = (code_plane(coder, plane, *shape) for plane in planes)
    return np.stack([red + green - _MIDDLE, green, blue + green - _MIDDLE])
