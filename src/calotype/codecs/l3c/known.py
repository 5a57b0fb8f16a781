"""What samples leave to be coded. No PyTorch here.

A scale's samples are every second pixel of the next finer scale; where its levels tell them exactly, neither that
scale's levels nor the image's colours are coded there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .digits import are_exact, digits_of, nearest_colours, samples_of

Int32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """Samples of one scale, as they were coded or as levels told them."""

    samples: npt.NDArray[np.integer]
    """(3, h, w) colours."""
    exact: npt.NDArray[np.bool_]
    """(h, w) where they are the image's."""

    @classmethod
    def of(cls, levels: Int32, expected: Floats) -> Known:
        """From levels (5, h, w) and expected values (1, 3, h, w)."""
        return cls(np.stack(samples_of(levels, _nearest(expected))), are_exact(levels))

    @classmethod
    def all_of(cls, samples: npt.NDArray[np.uint8]) -> Known:
        """Of samples (3, h, w) that are the image's."""
        return cls(samples, np.ones(samples.shape[1:], np.bool_))

    def places(self, height: int, width: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Flat places of pixels (height, width) of the finer scale: those that are known, and those left."""
        known = np.zeros((height, width), np.bool_)
        rows, columns = known[::2, ::2].shape
        known[::2, ::2] = self.exact[:rows, :columns]
        return np.flatnonzero(known), np.flatnonzero(~known)


def levels_of(samples: npt.NDArray[np.uint8], expected: Floats) -> Int32:
    """Levels (5, h, w) of samples (3, h, w) where values (1, 3, h, w) are expected."""
    return np.stack(digits_of(samples.astype(np.int32), _nearest(expected)))


def _nearest(expected: Floats) -> Int32:
    return nearest_colours(expected[0]).astype(np.int32)  # type: ignore[no-any-return]
