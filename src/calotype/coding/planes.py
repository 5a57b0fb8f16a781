"""Single planes (alpha), kept without loss: PNG's filters over a whole plane, then zlib."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile

Plane = npt.NDArray[np.uint8]


def _difference(plane: Plane, axes: tuple[int, ...]) -> Plane:
    for axis in axes:
        plane = np.diff(plane, axis=axis, prepend=np.uint8(0))  # wraps modulo 256
    return plane


def _integrate(plane: Plane, axes: tuple[int, ...]) -> Plane:
    for axis in reversed(axes):
        plane = np.cumsum(plane, axis=axis, dtype=np.uint8)
    return plane


FILTERS: tuple[tuple[int, ...], ...] = ((), (1,), (0,), (0, 1))  # none, left, above, both


def pack_plane(plane: Plane) -> bytes:
    """(h, w) -> filter number and zlib stream, with the filter that gives the fewest bytes."""
    packed = [
        bytes([number]) + zlib.compress(_difference(plane, axes).tobytes(), 9) for number, axes in enumerate(FILTERS)
    ]
    return min(packed, key=len)


def unpack_plane(data: bytes, height: int, width: int) -> Plane:
    """Undo `pack_plane`. Raises `CorruptFile`; never inflates beyond the plane's size."""
    inflater = zlib.decompressobj()
    try:
        axes = FILTERS[data[0]]
        filtered = inflater.decompress(data[1:], height * width)
        more = inflater.decompress(b"", 1)
    except (IndexError, zlib.error) as error:
        raise CorruptFile(f"damaged plane: {error}") from None
    if len(filtered) != height * width or more or not inflater.eof or inflater.unused_data:
        raise CorruptFile("plane has the wrong size")
    return _integrate(np.frombuffer(filtered, np.uint8).reshape(height, width), axes)
