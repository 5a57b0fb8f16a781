"""Planes kept without loss, for alpha and for what is no photograph: PNG's filters over a whole plane, then zlib."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile
from .varint import join_records, split_records

Plane = npt.NDArray[np.uint8]

_HOPELESS = 1.1  # times the network's bytes: what a quick trial may need for the thorough one to be worth its time


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


def pack_colours(pixels: Plane, below: int) -> bytes | None:
    """(h, w, 3) -> green, and red and blue less green, as planes, if they become fewer bytes than `below`."""
    quick = zlib.compress(np.diff(pixels, axis=1, prepend=np.uint8(0)).tobytes(), 1)
    if len(quick) > _HOPELESS * below:
        return None
    green = pixels[..., 1]
    planes = green, pixels[..., 0] - green, pixels[..., 2] - green  # modulo 256
    packed = join_records([pack_plane(np.ascontiguousarray(plane)) for plane in planes])
    return packed if len(packed) < below else None


def unpack_colours(data: bytes, height: int, width: int) -> Plane:
    """Undo `pack_colours`. Raises `CorruptFile`."""
    records = split_records(data)
    if len(records) != 3:
        raise CorruptFile(f"{len(records)} planes of colour")
    green, red, blue = (unpack_plane(record, height, width) for record in records)
    return np.stack([red + green, green, blue + green], -1)
