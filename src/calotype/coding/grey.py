"""Grey and alpha planes, without a network: interpolated from coarse to fine, or `planes` where that is shorter.

The pixels of a grid of 32 are coded first; then each halving of the grid adds the middles of its squares, predicted
from their four corners, and then the middles of the sides, from the four pixels around. The spread of those four gives
the width of the distribution.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile
from .coder import BitCounter, Coder, Decoder, Encoder
from .mixture import Mixture, scale_steps
from .planes import Plane, pack_plane, unpack_plane
from .units import LOCATION_BITS

Int32 = npt.NDArray[np.int32]

_GRID = 32
_FAMILY = Mixture(256, 2)
_FIRST = 128 << LOCATION_BITS, 72  # location and scale of the coarse grid: 64 grey values wide
# The second logistic, of a quarter of the weight, is twice as wide: edges are no noise.
_WIDER, _WEIGHTS = 8, (3, 1)
# scale for each spread of the neighbours, about 0.3 + spread / 8 grey values
_SCALES = np.searchsorted(-scale_steps(), -(2**17 * 80) // (24 + 10 * np.arange(256))).astype(np.int32)

INTERPOLATED = 1
PACKED = 0


def pack_grey(plane: Plane, coder: Encoder | BitCounter) -> bytes:
    """(h, w) -> the shorter of both methods; with a bit counter as many bytes as are to be expected."""
    code_plane(coder, plane, *plane.shape)
    return min(bytes([INTERPOLATED]) + coder.finish(), bytes([PACKED]) + pack_plane(plane), key=len)


def unpack_grey(data: bytes, height: int, width: int) -> Plane:
    """Undo `pack_grey`. Raises `CorruptFile`, `Desync`."""
    if data[:1] == bytes([PACKED]):
        return unpack_plane(data[1:], height, width)
    if data[:1] != bytes([INTERPOLATED]):
        raise CorruptFile("a plane of unknown kind")
    decoder = Decoder(data[1:])
    plane = code_plane(decoder, None, height, width)
    decoder.finish()
    return plane


def code_plane(coder: Coder, plane: Plane | None, height: int, width: int) -> Plane:
    """The symbol program of encoder, decoder and bit counter: a plane (height, width), or None when decoding."""
    known = np.zeros((height, width), np.int32)

    def code(rows: slice, columns: slice, location: Int32, scale: Int32) -> None:
        parameters = np.empty((3, 2, *location.shape), np.int32)
        parameters[0] = location
        parameters[1, 0], parameters[1, 1] = scale, np.minimum(scale + _WIDER, len(scale_steps()) - 1)
        parameters[2, 0], parameters[2, 1] = _WEIGHTS
        symbols = None if plane is None else plane[rows, columns].astype(np.int32)
        known[rows, columns] = coder.code(symbols, _FAMILY, parameters)

    every = slice(0, None, _GRID)
    shape = known[every, every].shape
    code(every, every, *(np.full(shape, value, np.int32) for value in _FIRST))
    step = _GRID
    while step > 1:
        half = step // 2
        even, odd = slice(0, None, step), slice(half, None, step)
        for rows, columns in ((odd, odd), (even, odd), (odd, even)):
            y, x = np.arange(height)[rows], np.arange(width)[columns]
            if y.size and x.size:
                code(rows, columns, *_predict(known, y, x, half))
        step = half
    return known.astype(np.uint8)


def _beside(at: npt.NDArray[np.intp], half: int, size: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Places half a step before and after, the other one where one is outside; -1 where both are."""
    before, after = at - half, at + half
    before, after = np.where(before < 0, after, before), np.where(after >= size, before, after)
    outside = (before < 0) | (before >= size)
    return np.where(outside, -1, before), np.where(outside, -1, after)


def _predict(known: Int32, y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], half: int) -> tuple[Int32, Int32]:
    """Location and scale of the pixels of rows y and columns x, each (rows, columns)."""
    (up, down), (left, right) = (_beside(at, half, size) for at, size in zip((y, x), known.shape, strict=True))
    if y[0] == half and x[0] == half:  # middles of squares: pairs are the diagonals
        pairs = (
            (known[np.ix_(up, left)], known[np.ix_(down, right)]),
            (known[np.ix_(up, right)], known[np.ix_(down, left)]),
        )
    else:
        vertical = known[np.ix_(up, x)], known[np.ix_(down, x)]
        horizontal = known[np.ix_(y, left)], known[np.ix_(y, right)]
        if up[0] < 0:
            vertical = horizontal
        if left[0] < 0:
            horizontal = vertical
        pairs = vertical, horizontal
    (a, b), (c, d) = pairs
    # each pair's mean, weighted by how much the other pair differs: along edges, not across
    first, second = np.abs(c - d) + 1, np.abs(a - b) + 1
    location = ((a + b) * first + (c + d) * second << LOCATION_BITS - 1) // (first + second)
    spread = np.maximum(np.maximum(a, b), np.maximum(c, d)) - np.minimum(np.minimum(a, b), np.minimum(c, d))
    return location.astype(np.int32), _SCALES[spread]
