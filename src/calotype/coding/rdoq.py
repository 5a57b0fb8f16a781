"""Latents to the integers that are coded. The encoder's choice alone: a decoder takes whatever integers there are.

RDOQ is the field's word for rate-distortion optimised quantisation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .tables import Tables

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]


def nearest(x: Floats, symbol_max: int) -> Integers:
    """Nearest integers within +-symbol_max, ties to even."""
    return np.clip(np.rint(x), -symbol_max, symbol_max).astype(np.int32)


def rdoq(x: Floats, tables: Tables, index: Integers, bit_worth: Floats, symbol_max: int) -> Integers:
    """The nearest integers, or those next to them towards zero where the bits saved are worth the error.

    Of both candidates q the one with the smaller (x - q)^2 + bit_worth * bits(q) is taken, one latent at a time
    (Schäfer et al. 2021, Rate-Distortion-Optimization for Deep Image Compression).

    Shapes: x and index, the numbers of the latents' tables, are alike; bit_worth can be broadcast to them.
    """
    symbols = nearest(x, symbol_max)
    places = np.nonzero(symbols)
    values, indices, worth = x[places], index[places], np.broadcast_to(bit_worth, x.shape)[places]

    def cost(candidates: Integers) -> npt.NDArray[np.float64]:
        return (values - candidates) ** 2 + worth * tables.bits(candidates, indices)

    far = symbols[places]
    near = far - np.sign(far)
    symbols[places] = np.where(cost(near) < cost(far), near, far)
    return symbols
