"""The bytes of a `prism` payload: docs/format/prism.md.

One chunk with one record per tile, row by row. A record's body begins with its kind.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...coding.varint import read_varint, write_varint
from ...errors import CorruptFile
from ...tiled import TiledChunk
from . import INFO

TILES = TiledChunk("P", largest_side=4096)
PLANES, WEBP, STORED, BOUNDED = 0, 1, 2, 3  # kinds of record
SINCE = {STORED: 2, BOUNDED: 3}  # the wire version that a kind came with; else the first
ORDERS = ((1, 0, 2), (1, 2, 0), (0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0))  # in which colours are coded


@dataclass(frozen=True)
class Values:
    """What values the samples of a plane have; the kernel codes their numbers, 0 up, in place of a sparse set."""

    low: int
    high: int
    used: npt.NDArray[np.uint16] | None = None
    """The values, rising; None where all from low to high count as used."""

    @classmethod
    def of(cls, samples: npt.NDArray[np.uint16], bound: int = 0) -> Values:
        """Those of a plane. A bound is one on values, not on their numbers, so they stand for themselves then."""
        low, high = int(samples.min()), int(samples.max())
        used = np.flatnonzero(np.bincount(samples.reshape(-1), minlength=high + 1)).astype(np.uint16)
        worth = 2 * used.size <= samples.size  # else the map costs more than it tells
        sparse = 2 * used.size <= high - low and high - low >= 16 and worth
        return cls(low, high, used if sparse and not bound else None)

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest number that the kernel codes."""
        return (self.low, self.high) if self.used is None else (0, self.used.size - 1)

    def depth(self, depth: int) -> int:
        """Bits of the numbers that the kernel codes, of samples of `depth` bits."""
        return max(8, depth if self.used is None else (self.used.size - 1).bit_length())

    def numbers(self, samples: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        return samples if self.used is None else np.searchsorted(self.used, samples).astype(np.uint16)

    def samples(self, numbers: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        return numbers if self.used is None else self.used[numbers]

    def pack(self) -> bytes:
        ends = write_varint(self.low) + write_varint(self.high - self.low)
        if self.used is None:
            return ends + _with_length(b"")
        map_ = np.zeros(self.high - self.low + 1, np.uint8)
        map_[self.used - self.low] = 1
        return ends + _with_length(zlib.compress(np.packbits(map_).tobytes(), 9))

    @classmethod
    def parse(cls, reader: Reader, depth: int) -> Values:
        low = reader.number()
        high = low + reader.number()
        if high >> depth:
            raise CorruptFile(f"a plane has values up to {high} in {depth} bits")
        packed = reader.part()
        if not packed:
            return cls(low, high)
        inflater, size = zlib.decompressobj(), high - low + 1
        try:
            bits = inflater.decompress(packed, -(-size // 8))
        except zlib.error as error:
            raise CorruptFile(f"damaged map of a plane's values: {error}") from None
        if len(bits) != -(-size // 8) or not inflater.eof:
            raise CorruptFile("a map of a plane's values has the wrong size")
        used = np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8), count=size)) + low
        if used.size == 0:
            raise CorruptFile("a plane without values")
        return cls(low, high, used.astype(np.uint16))


class Bound(NamedTuple):
    """By how much samples may be off."""

    error: int
    """At most."""
    grid: int = 0
    """1: those that are found lie on a fixed grid; 0: on one around each prediction."""


EXACT = Bound(0)


def is_alpha(channel: int, channels: int) -> bool:
    """Whether this one of so many channels is alpha; it comes last in any order."""
    return channels in (2, 4) and channel == channels - 1


def bound_of(channel: int, channels: int, bound: Bound) -> Bound:
    """The bound of one of so many channels, where that of colours is `bound`."""
    return EXACT if is_alpha(channel, channels) else bound


def depths_of(values: Sequence[Values], depth: int, bound: Bound) -> list[int]:
    """Bits of the numbers that the kernel codes, of each channel of a tile of `depth` bits."""
    depths = [known.depth(depth) for known in values]
    colours = [channel for channel in range(len(values)) if bound_of(channel, len(values), bound).error]
    highest = max((values[channel].high for channel in colours), default=0)
    for channel in colours:  # alike, as they are compared with each other
        depths[channel] = max(8, highest.bit_length())
    return depths


@dataclass(frozen=True)
class CodedPlane:
    values: Values
    stream: bytes


@dataclass(frozen=True)
class CodedPlanes:
    """Channels of a tile."""

    effort: int
    order: int
    """Number of the order of the colours."""
    bound: Bound
    """Of the samples; but those of alpha are exact."""
    planes: Sequence[CodedPlane]

    @property
    def kind(self) -> int:
        """Of record."""
        return BOUNDED if self.bound.error else PLANES

    def pack(self) -> bytes:
        """The record's body."""
        bound = write_varint(self.bound.grid) + write_varint(self.bound.error) if self.bound.error else b""
        parts = [plane.values.pack() + _with_length(plane.stream) for plane in self.planes]
        return bytes([self.kind, self.effort, self.order]) + bound + b"".join(parts)

    @classmethod
    def parse(cls, body: bytes, depth: int, count: int) -> CodedPlanes:
        """Raises `CorruptFile`."""
        if len(body) < 3 or body[1] not in INFO.efforts or body[2] >= len(ORDERS):
            raise CorruptFile("a tile was coded in an unknown way")
        reader = Reader(body, 3)
        bound = _parse_bound(reader, depth) if body[0] == BOUNDED else EXACT
        planes = [CodedPlane(Values.parse(reader, depth), reader.part()) for _ in range(count)]
        if any(
            bound_of(channel, count, bound).error and planes[channel].values.used is not None
            for channel in range(count)
        ):
            raise CorruptFile("a plane has a map of its values beside a bound")
        if reader.rest():
            raise CorruptFile("a tile goes on after its planes")
        return cls(body[1], body[2], bound, planes)


def _parse_bound(reader: Reader, depth: int) -> Bound:
    grid, error = reader.number(), reader.number()
    if grid > 1 or not 0 < error < 1 << depth:
        raise CorruptFile(f"a tile of {depth} bits has a bound of {error} on grid {grid}")
    return Bound(error, grid)


class Reader:
    """Takes numbers and parts off the front of some bytes. Raises `CorruptFile`."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = memoryview(data), place

    def rest(self) -> int:
        return len(self._data) - self._place

    def number(self) -> int:
        value, self._place = read_varint(self._data, self._place)
        return value

    def part(self) -> bytes:
        length = self.number()
        if length > self.rest():
            raise CorruptFile("a part of a tile reaches beyond its end")
        self._place += length
        return bytes(self._data[self._place - length : self._place])


def _with_length(body: bytes) -> bytes:
    return write_varint(len(body)) + body
