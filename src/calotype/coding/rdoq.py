"""Latents to the integers that are coded. The encoder's choice alone: a decoder takes whatever integers there are.

RDOQ is the field's word for rate-distortion optimised quantisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .tables import Tables

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]


class Targets(NamedTuple):
    """Latents that an encoder may round as it likes; stands for symbols in a coder's `code`.

    Of the nearest integer and the next one towards zero, the one with the smaller (value - q)^2 + worth * bits(q) is
    taken, one latent at a time (Schäfer et al. 2021, Rate-Distortion-Optimization for Deep Image Compression).
    """

    values: Floats
    """Shape (channels, rows, columns)."""
    worth: Floats
    """Squared error that a bit is worth to each, which can be broadcast to the values; 0 rounds to the nearest."""
    most: int
    """Largest symbol."""


def nearest(x: Floats, symbol_max: int) -> Integers:
    """Nearest integers within +-symbol_max, ties to even."""
    return np.clip(np.rint(x), -symbol_max, symbol_max).astype(np.int32)


def rdoq(targets: Targets, tables: Tables, index: Integers) -> Integers:
    """Round targets that are coded with the tables `index`, which has the shape of the values."""
    symbols = nearest(targets.values, targets.most)
    places = np.nonzero(symbols)
    values, indices = targets.values[places], index[places]
    worth = np.broadcast_to(targets.worth, symbols.shape)[places]

    def cost(candidates: Integers) -> npt.NDArray[np.float64]:
        return (values - candidates) ** 2 + worth * tables.bits(candidates, indices)

    far = symbols[places]
    near = far - np.sign(far)
    symbols[places] = np.where(cost(near) < cost(far), near, far)
    return symbols
