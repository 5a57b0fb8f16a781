"""Samples to bins around the base's picture, and distributions of samples to those of bins. No PyTorch here.

With a bound N, what is missing r of a sample is coded as the number of its bin, sgn(r) floor((|r| + N) / (2 N + 1)),
and found to be 2 N + 1 times that (Bai et al. 2021, eq. 3). Symbols are these numbers from the lowest one on that a
sample can have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...coding.units import LOCATION_BITS, SCALES
from .units import COLOUR_MAX

Int32 = npt.NDArray[np.int32]


class Bins:
    """Those of a bound, 0 .. 255."""

    def __init__(self, bound: int) -> None:
        self.bound, self.width = bound, 2 * bound + 1
        self.symbols = (COLOUR_MAX + 2 * bound) // self.width + 1
        self._narrower = (self.width**16).bit_length() // 2  # round(8 log2(width)): steps of a scale

    def symbols_of(self, samples: Int32, picture: Int32) -> Int32:
        """The bins of samples where the base has `picture`."""
        missing = samples - picture
        bins: Int32 = np.sign(missing) * ((np.abs(missing) + self.bound) // self.width)
        return bins - self._lowest(picture)

    def samples_of(self, symbols: Int32, picture: Int32) -> Int32:
        """What samples are found to be."""
        found: Int32 = (picture + (symbols + self._lowest(picture)) * self.width).clip(0, COLOUR_MAX)
        return found

    def parameters_of(self, parameters: Int32, picture: Int32) -> Int32:
        """Mixtures of bins, of those of samples (3, components, *shape) where the base has `picture` (*shape)."""
        found = parameters.copy()
        off = (parameters[0] - (picture << LOCATION_BITS)) // self.width
        found[0] = off - (self._lowest(picture) << LOCATION_BITS)
        found[1] = (parameters[1] - self._narrower).clip(0, SCALES - 1)
        return found

    def _lowest(self, picture: Int32) -> Int32:
        lowest: Int32 = -((picture + self.bound) // self.width)
        return lowest
