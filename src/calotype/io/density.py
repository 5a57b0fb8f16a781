"""Pixels per inch, per metre or of no unit, as files say them <-> `Metadata.density`.

That holds the 9 bytes of PNG's chunk pHYs: pixels per unit along x and y (u32, highest byte first), then 1 if the unit
is the metre, or 0 if only the pixels' shape is known.
"""

from __future__ import annotations

import struct

_PER_METRE = 1 / 0.0254  # pixels per metre of one pixel per inch
_FORM = ">IIB"
_MOST = 2**31 - 1


def of_inch(x: float, y: float) -> bytes | None:
    """Pixels per inch."""
    return _pack(round(x * _PER_METRE), round(y * _PER_METRE), 1)


def of_shape(x: float, y: float) -> bytes | None:
    """Only their proportion; nothing where pixels are square."""
    whole = x == int(x) and y == int(y)
    return None if x == y else _pack(int(x) if whole else round(x * 1000), int(y) if whole else round(y * 1000), 0)


def of_chunk(body: bytes) -> bytes | None:
    """A chunk pHYs."""
    if len(body) != struct.calcsize(_FORM):
        return None
    x, y, unit = struct.unpack(_FORM, body)
    return None if unit == 0 and x == y else _pack(x, y, unit)


def in_inches(density: bytes | None) -> tuple[float, float] | None:
    """Pixels per inch: whole numbers where they round to the same; None where it has no unit."""
    if density is None or len(density) != struct.calcsize(_FORM):
        return None
    x, y, unit = struct.unpack(_FORM, density)
    return (_inch(x), _inch(y)) if unit == 1 and x and y else None


def proportion(density: bytes | None) -> tuple[int, int] | None:
    """Of pixels, where nothing else is known."""
    if density is None or len(density) != struct.calcsize(_FORM):
        return None
    x, y, unit = struct.unpack(_FORM, density)
    return (x, y) if unit == 0 and x and y else None


def _inch(per_metre: int) -> float:
    near = round(per_metre / _PER_METRE)
    return near if round(near * _PER_METRE) == per_metre else per_metre / _PER_METRE


def _pack(x: int, y: int, unit: int) -> bytes | None:
    return struct.pack(_FORM, x, y, unit) if 0 < x <= _MOST and 0 < y <= _MOST and unit <= 1 else None
