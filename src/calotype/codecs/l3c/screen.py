"""Colours without a network, for what is no photograph: green, and red and blue less green, as `coding.planes`."""

from __future__ import annotations

import zlib

import numpy as np

from ...coding.planes import Plane, pack_plane, unpack_plane
from ...coding.varint import join_records, split_records
from ...errors import CorruptFile

_HOPELESS = 1.1  # times the network's bytes: what a quick trial may need for the thorough one to be worth its time


def pack_colours(pixels: Plane, below: int) -> bytes | None:
    """(h, w, 3) -> bytes, if they become fewer than `below`."""
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
