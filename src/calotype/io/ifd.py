"""TIFF's structure: directories of tags (IFDs), as in TIFF, BigTIFF, Exif and the index of a multi-picture JPEG.

Every offset and count is checked against the file before it is used.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from ..errors import CorruptFile

LONG, LONG8, POINTER, POINTER8 = 4, 16, 13, 18  # types of offsets
BYTE, ASCII, SHORT, RATIONAL, UNDEFINED = 1, 2, 3, 5, 7
_FORMATS = {
    1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d",
    13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip
# TIFF 6.0, section 2; 13 in Technical Note 1; 16 to 18 in BigTIFF
_SIZES = {kind: struct.calcsize("<" + text) for kind, text in _FORMATS.items()}
_MOST_ENTRIES = 4096
_MOST_PAGES = 10_000
_MOST_DEPTH = 4


@dataclass(frozen=True)
class Entry:
    """The value of a tag, in the byte order of its file."""

    type: int
    count: int
    data: bytes


@dataclass(frozen=True)
class Directory:
    """One IFD: tags with values, or with directories of their own."""

    order: str
    """`<` or `>`, as `struct` calls the byte order."""
    entries: Mapping[int, Entry | Directory] = field(default_factory=dict)
    next: int = 0
    """Where the next one of the chain is; 0 after the last."""

    def numbers(self, tag: int) -> tuple[int | float, ...]:
        """The values of a tag, of rationals the quotients; none where it is missing or a text."""
        entry = self.entries.get(tag)
        if not isinstance(entry, Entry) or entry.type == ASCII:
            return ()
        values = struct.unpack(f"{self.order}{_FORMATS[entry.type] * entry.count}", entry.data)
        if entry.type in (5, 10):
            return tuple(a / b if b else 0.0 for a, b in zip(values[::2], values[1::2], strict=True))
        return values

    def integers(self, tag: int) -> tuple[int, ...]:
        return tuple(map(int, self.numbers(tag)))

    def integer(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        return (*self.integers(tag), default)[0]

    def block(self, tag: int) -> bytes | None:
        """The bytes of a tag."""
        entry = self.entries.get(tag)
        return entry.data if isinstance(entry, Entry) else None


class Reader:
    """Reads directories from a file.

    Raises
    ------
    CorruptFile
        This is not such a structure, or it is damaged.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        start = self._at(0, 8)
        self.order = {b"II": "<", b"MM": ">"}.get(start[:2], "")
        if not self.order:
            raise CorruptFile("damaged: neither II nor MM begins a TIFF structure")
        version = self._number("H", 2)
        self.big = version == 43
        if version not in (42, 43):
            raise CorruptFile("damaged: a TIFF structure of an unknown version")
        self.first = self._number("Q", 8) if self.big else self._number("I", 4)

    def directory(self, offset: int, pointers: frozenset[int] = frozenset(), depth: int = 0) -> Directory:
        """The one at an offset; the values of `pointers` are read as directories where they can be."""
        count = self._number("Q" if self.big else "H", offset)
        if count > _MOST_ENTRIES:
            raise CorruptFile(f"damaged: {count} tags")
        position, width = offset + (8 if self.big else 2), 20 if self.big else 12
        entries: dict[int, Entry | Directory] = {}
        for index in range(count):
            tag, entry = self._entry(position + width * index)
            if entry is None:
                continue
            entries[tag] = entry
            if tag in pointers and depth < _MOST_DEPTH:
                try:
                    place = Directory(self.order, {tag: entry}).integer(tag, 0)
                    entries[tag] = self.directory(place, pointers, depth + 1)
                except CorruptFile:
                    del entries[tag]
        end = position + width * count
        try:
            following = self._number("Q" if self.big else "I", end)
        except CorruptFile:  # the end of the chain is missing, as in some cameras' Exif
            following = 0
        return Directory(self.order, entries, following)

    def pages(self) -> Iterator[Directory]:
        """The chain of directories; it ends where the next one is damaged."""
        offset, seen = self.first, set[int]()
        while offset and offset not in seen and len(seen) < _MOST_PAGES:
            try:
                page = self.directory(offset)
            except CorruptFile:
                if seen:
                    return
                raise
            seen.add(offset)
            yield page
            offset = page.next

    def _entry(self, position: int) -> tuple[int, Entry | None]:
        tag, kind = self._number("H", position), self._number("H", position + 2)
        count = self._number("Q" if self.big else "I", position + 4)
        if kind not in _SIZES:
            return tag, None
        size, inside = _SIZES[kind] * count, 8 if self.big else 4
        place = position + 4 + inside
        if size > inside:
            place = self._number("Q" if self.big else "I", place)
        if place + size > self._size:
            return tag, None
        return tag, Entry(kind, count, self._at(place, size))

    def _number(self, kind: str, offset: int) -> int:
        code = self.order + kind
        return int(struct.unpack(code, self._at(offset, struct.calcsize(code)))[0])

    def _at(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise CorruptFile("damaged: it ends early")
        self._file.seek(offset)
        return self._file.read(size)


def build(directory: Directory, offset: int = 8) -> bytes:
    """A classic directory and all its values, to stand at an offset. Wide offsets become narrow ones."""
    entries = sorted(directory.entries.items())
    order, end = directory.order, offset + 2 + 12 * len(entries) + 4
    table, values = struct.pack(order + "H", len(entries)), b""
    for tag, entry in entries:
        if isinstance(entry, Directory):
            place = end + len(values)
            values += build(Directory(order, entry.entries), place)
            entry = Entry(LONG, 1, struct.pack(order + "I", place))
        entry = _narrow(entry, order)
        data = entry.data
        table += struct.pack(order + "HHI", tag, entry.type, entry.count)
        if len(data) <= 4:
            table += data.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", end + len(values))
            values += data
        values += bytes(len(values) % 2)
    return table + bytes(4) + values


def header(order: str) -> bytes:
    """The first 8 bytes of a classic structure whose directory follows them."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)


def _narrow(entry: Entry, order: str) -> Entry:
    narrow = {LONG8: "I", 17: "i", POINTER8: "I"}.get(entry.type)
    if narrow is None:
        return entry
    count = entry.count
    values = struct.unpack(f"{order}{_FORMATS[entry.type] * count}", entry.data)
    low = [min(max(value, -(2**31) if narrow == "i" else 0), 2**31 - 1) for value in values]
    return Entry(9 if narrow == "i" else LONG, count, struct.pack(f"{order}{count}{narrow}", *low))
