"""Exif blocks: a classic TIFF structure without pixels."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Callable
from io import BytesIO
from typing import cast

import numpy as np

from ..errors import CorruptFile
from ..image import Pixels
from . import ifd
from .errors import note
from .ifd import Directory, Entry, Reader

PREFIX = b"Exif\0\0"  # in JPEG, and in what Pillow hands around
ORIENTATION = 274
RESOLUTION = frozenset({282, 283, 296})
SUB_DIRECTORIES = frozenset({34665, 34853, 40965})  # Exif, GPS, Interoperability: Exif 2.32, section 4.6.3
STRUCTURE = frozenset({
    254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338,
    339, 347, 512, 513, 514, 529, 530, 531, 532, 700, 34675, 33723, 34377,
})  # fmt: skip
# TIFF 6.0 tags that say how a file stores its pixels, and XMP, ICC, IPTC, Photoshop blocks: not part of Exif.
_TURN: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
    8: lambda x: x.swapaxes(0, 1)[::-1],
}  # Exif 2.32, 4.6.5.1.9: where row 0 and column 0 are


def of_tiff(reader: Reader) -> bytes | None:
    """What a TIFF file says beside its pixels, as a block of its own; without orientation and resolution."""
    tags = reader.directory(reader.first, SUB_DIRECTORIES)
    left = STRUCTURE | RESOLUTION | {ORIENTATION}
    entries = {tag: entry for tag, entry in tags.entries.items() if tag not in left}
    return pack(Directory(tags.order, entries)) if entries else None


def parse(block: bytes) -> Directory:
    """Its directory, and those within. Raises `CorruptFile`."""
    reader = Reader(BytesIO(block))
    return reader.directory(reader.first, SUB_DIRECTORIES)


def pack(directory: Directory) -> bytes:
    return ifd.header(directory.order) + ifd.build(directory)


def only_orientation(block: bytes) -> bytes | None:
    """What a viewer needs of a block that is too long."""
    tags = parse(block)
    entry = tags.entries.get(ORIENTATION)
    return None if entry is None else pack(Directory(tags.order, {ORIENTATION: entry}))


def orientation(block: bytes) -> int:
    """1 to 8; 1 where nothing is said."""
    try:
        return parse(block).integer(ORIENTATION, 1)
    except CorruptFile:
        return 1


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """As a viewer shows them; what is no orientation turns nothing."""
    return cast(Pixels, np.ascontiguousarray(_TURN.get(orientation, _TURN[1])(pixels)))


def of_hexadecimal(text: str) -> bytes:
    """The block in a PNG text `Raw profile type ...`: name, length, hexadecimal digits; what follows is ignored."""
    found = re.match(r"\s*\S+\s+(\d+)\s(.*)", text, re.DOTALL)
    if found is None:
        return b""
    digits = re.sub(r"\s", "", found[2])[: 2 * int(found[1])]
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def checked(block: bytes | None) -> bytes | None:
    """A block that can be read again, by Pillow too, or None; says so where it left one out."""
    if not block:
        return None
    if _is_readable(block):
        return block
    note("its Exif is damaged; left out")
    return None


def _is_readable(block: bytes) -> bool:
    from PIL.Image import Exif

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(block)
            exif = Exif()
            exif.load(PREFIX + block)
            dict(exif)
            for tag in SUB_DIRECTORIES:
                exif.get_ifd(tag)
    except Exception:
        return False
    return block[2:4] in (b"*\0", b"\0*")  # classic: others take no BigTIFF for Exif


def resolution(density: tuple[float, float, int], order: str) -> dict[int, Entry]:
    """TIFF's tags of a resolution; the unit is 1 for none, 2 for pixels per inch."""
    x, y, unit = density
    tags = {296: Entry(ifd.SHORT, 1, struct.pack(order + "H", unit))}
    for tag, value in ((282, x), (283, y)):
        whole = value == int(value)
        ratio = (int(value), 1) if whole else (round(value * 1000), 1000)
        tags[tag] = Entry(ifd.RATIONAL, 1, struct.pack(order + "II", *ratio))
    return tags
