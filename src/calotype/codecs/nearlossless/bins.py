"""Samples to bins around where they are expected, and distributions of samples to those of bins. No PyTorch here.

With a bound N, what is missing r of a sample is coded as the number of its bin, sgn(r) floor((|r| + N) / (2 N + 1)),
and found to be 2 N + 1 times that (Bai et al. 2021, eq. 3). It is missing to the *middle*, here not the base's picture
but the mean of the sample's distribution: that of bin 0. Symbols are these numbers from the lowest one on that a sample
can have.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...coding.units import LOCATION_BITS, LOCATION_UNIT, SCALES
from .units import COLOUR_MAX

Int32 = npt.NDArray[np.int32]


class Bins:
    """Those of a bound, 0 .. 255."""

    def __init__(self, bound: int) -> None:
        self.bound, self.width = bound, 2 * bound + 1
        self.symbols = (COLOUR_MAX + 2 * bound) // self.width + 1
        self._narrower = (self.width**16).bit_length() // 2  # round(8 log2(width)): steps of a scale

    def symbols_of(self, samples: Int32, middles: Int32) -> Int32:
        """The bins of samples."""
        missing = samples - middles
        bins: Int32 = np.sign(missing) * ((np.abs(missing) + self.bound) // self.width)
        return bins - self._lowest(middles)

    def samples_of(self, symbols: Int32, middles: Int32) -> Int32:
        """What samples are found to be."""
        found: Int32 = (middles + (symbols + self._lowest(middles)) * self.width).clip(0, COLOUR_MAX)
        return found

    def parameters_of(self, parameters: Int32, middles: Int32) -> Int32:
        """Mixtures of bins, of those of samples (3, components, *shape) with middles (*shape)."""
        found = parameters.copy()
        off = (parameters[0] - (middles << LOCATION_BITS)) // self.width
        found[0] = off - (self._lowest(middles) << LOCATION_BITS)
        found[1] = (parameters[1] - self._narrower).clip(0, SCALES - 1)
        return found

    def _lowest(self, middles: Int32) -> Int32:
        lowest: Int32 = -((middles + self.bound) // self.width)
        return lowest


def middles_of(parameters: Int32) -> Int32:
    """The means of mixtures (3, components, *shape), to the nearest sample."""
    location, _, weight = parameters.astype(np.int64)
    means = (location * weight).sum(0) // weight.sum(0)
    middles: Int32 = (means + LOCATION_UNIT // 2 >> LOCATION_BITS).clip(0, COLOUR_MAX).astype(np.int32)
    return middles
