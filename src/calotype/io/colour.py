"""An ICC profile that means what PNG's gAMA and cHRM mean, for formats that only have a place for it. ICC.1:2022."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

_SRGB_GAMMA = 45_455  # what W3C PNG, 11.3.2.5, has beside chunk sRGB, and cHRM with it
_SRGB_PLACES = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
_MOST = 100  # of an exponent, and as much below 1
_NEAR = 100  # of 100,000: rounding of writers
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1

Floats = npt.NDArray[np.float64]


def is_srgb(gamma: bytes) -> bool:
    """Whether it says what is taken for granted."""
    exponent, places = _parse(gamma)
    near = all(abs(a - b) <= _NEAR for a, b in zip(places, _SRGB_PLACES, strict=True))
    return near and (exponent == 0 or abs(exponent - _SRGB_GAMMA) <= _NEAR)


def profile(gamma: bytes, grey: bool) -> bytes | None:
    """For `Metadata.gamma`; None where it makes no sense."""
    exponent, places = _parse(gamma)
    if exponent and not 1e5 / _MOST < exponent < 1e5 * _MOST:
        return None
    curve = _curve((1e5 / exponent,), 0) if exponent else _curve(_SRGB_CURVE, 3)
    tags = {b"desc": _text("gAMA and cHRM"), b"cprt": _text("CC0"), b"wtpt": _place(_D50)}
    if grey:
        return _pack(b"GRAY", tags | {b"kTRC": curve})
    try:
        adapted, colours = _colours(np.array(places).reshape(4, 2) / 1e5)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        return None
    if not np.isfinite(colours).all() or np.abs(colours).max() > 10:
        return None
    tags[b"chad"] = b"sf32" + bytes(4) + _fixed(*adapted.ravel())
    for name, colour in zip((b"r", b"g", b"b"), colours.T, strict=True):
        tags |= {name + b"XYZ": _place(colour), name + b"TRC": curve}
    return _pack(b"RGB ", tags)


def _parse(gamma: bytes) -> tuple[int, tuple[int, ...]]:
    exponent = int.from_bytes(gamma[:4])
    return exponent, struct.unpack(">8I", gamma[4:]) if len(gamma) == 36 else _SRGB_PLACES


def _colours(places: Floats) -> tuple[Floats, Floats]:
    """Of chromaticities of white, red, green and blue: the adaptation of white to D50, and the colours' XYZ as columns.

    White is the sum of the colours, which gives their luminances: `colours @ amounts = white`.
    """
    if (places[:, 1] == 0).any():
        raise ZeroDivisionError
    x, y = places.T
    points = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    white, colours = points[:, 0], points[:, 1:]
    colours = colours * np.linalg.solve(colours, white)
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted = np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD
    return adapted, adapted @ colours


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _place(xyz: Floats) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*xyz)


def _curve(parameters: tuple[float, ...], kind: int) -> bytes:
    """A power, or a power with a straight piece at its foot."""
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*parameters)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(data), 28) + data


def _pack(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    start, table, bodies = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += struct.pack(">4sII", name, start + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # the same for the same colours
    head = struct.pack(">I4sI4s4s4s12s4s", start + len(bodies), b"", 0x04300000, b"mntr", space, b"XYZ ", date, b"acsp")
    head = head.ljust(68, b"\0") + _fixed(*_D50)
    return head.ljust(128, b"\0") + table + bodies
