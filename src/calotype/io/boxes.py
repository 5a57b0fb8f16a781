"""Boxes of ISO base media files (AVIF) and of JPEG 2000: a length, a type, a body that may hold further boxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, NamedTuple

from ..errors import CorruptFile

_MOST = 10_000  # boxes side by side


class Box(NamedTuple):
    """Where a box's body lies."""

    kind: bytes
    start: int
    end: int


class Boxes:
    """Reads boxes from a file. Raises `CorruptFile` where one does not fit into what holds it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def within(self, start: int = 0, end: int | None = None) -> Iterator[Box]:
        """The boxes in a range, in their order."""
        end = self.size if end is None else end
        for _ in range(_MOST):
            if start + 8 > end:
                return
            length, kind, body = self.number(start, 4), self.bytes(start + 4, 4), start + 8
            if length == 1:
                length, body = self.number(start + 8, 8), start + 16
            elif length == 0:
                length = end - start
            if length < body - start or start + length > end:
                raise CorruptFile("damaged: a box is longer than what holds it")
            yield Box(kind, body, start + length)
            start += length

    def find(self, kind: bytes, start: int = 0, end: int | None = None) -> Box | None:
        """The first of a type."""
        return next((box for box in self.within(start, end) if box.kind == kind), None)

    def bytes(self, start: int, size: int) -> bytes:
        if start + size > self.size:
            raise CorruptFile("damaged: it ends early")
        self._file.seek(start)
        return self._file.read(size)

    def number(self, start: int, size: int) -> int:
        """Unsigned, highest byte first."""
        return int.from_bytes(self.bytes(start, size))
