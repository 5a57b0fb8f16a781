"""What tiled codecs share: the bytes around their tiles, checks, and the loops over tiles, with regions and threads.

A *record* is what one tile (or one part of a tile) became: a *seal* and the codec's own bytes. The seal is a hash of
the integers that the decoder must find, so that one that goes wrong says so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .codec import Chunk
from .coding.checksum import crc32c
from .coding.varint import join_records, split_records
from .errors import CorruptFile, Desync, UnsupportedFile
from .image import Pixels, empty
from .options import Region
from .parallel import cores, in_order, told
from .tiling import Grid, Span, Tile, check_region

SEAL_BYTES = 4
SIDE_UNIT = 64  # pixels; sides of tiles are multiples, written as one byte

NO_HEAD = struct.Struct("")

Integers = npt.NDArray[np.integer[Any]]
Made = TypeVar("Made")
Sample = TypeVar("Sample", bound=np.generic)


# --- bytes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TiledChunk:
    """How a codec's chunk holds tiles: a head of the codec's own, the side of the tiles, one record after the other."""

    tag: str
    largest_side: int
    """Pixels: what a decoder must find memory for."""
    head: struct.Struct = NO_HEAD

    def pack(self, side: int, records: Sequence[bytes], *head: int) -> Chunk:
        """The chunk of tiles of `side` pixels, with the values of its head."""
        return Chunk(self.tag, self.head.pack(*head) + bytes([side // SIDE_UNIT]) + join_records(records))

    def parse(self, body: bytes) -> tuple[int, list[bytes], tuple[int, ...]]:
        """Side of the tiles in pixels, records, and values of the head. Raises `CorruptFile`."""
        size = self.head.size
        if len(body) <= size:
            raise CorruptFile("the file lacks its tiles")
        if not 1 <= body[size] <= self.largest_side // SIDE_UNIT:
            raise CorruptFile(f"tiles of {body[size] * SIDE_UNIT} pixels are none of this codec")
        return body[size] * SIDE_UNIT, split_records(body[size + 1 :]), self.head.unpack_from(body)


def bodies(chunks: Sequence[Chunk], needed: str, allowed: str = "") -> dict[str, bytes]:
    """Body of each chunk by its tag: all that are needed, some that are allowed, none twice.

    Raises
    ------
    CorruptFile
        A chunk is missing, or there twice.
    UnsupportedFile
        There is another one.
    """
    found = {chunk.tag: chunk.body for chunk in chunks}
    if unknown := sorted(found.keys() - {*needed, *allowed}):
        raise UnsupportedFile(f"the file has a part {unknown[0]!r} that this version does not know; update calotype")
    if len(found) != len(chunks) or not found.keys() >= {*needed}:
        raise CorruptFile("the file lacks a part or has it twice")
    return found


def check_count(records: Sequence[bytes], grid: Grid, parts: int = 1) -> None:
    """Raise `CorruptFile` if there is not one record for each tile and part."""
    expected = grid.rows * grid.columns * parts
    if len(records) != expected:
        raise CorruptFile(f"the file should have {expected} records of tiles, it has {len(records)}")


def seal(values: Integers, body: bytes) -> bytes:
    """A record: the hash of some integers in C order, little endian, and what they became."""
    return _hash(values) + body


def open_record(record: bytes) -> tuple[bytes, bytes]:
    """Seal and body of a record. Raises `CorruptFile`."""
    if len(record) < SEAL_BYTES:
        raise CorruptFile("a tile is cut off")
    return record[:SEAL_BYTES], record[SEAL_BYTES:]


def check_seal(found: bytes, values: Integers, tile: Tile) -> None:
    """Raise `Desync` if decoded integers are not those that were sealed."""
    if _hash(values) != found:
        raise Desync(f"tile {tile.row},{tile.column} decoded to other values than were encoded; nothing is returned")


def _hash(values: Integers) -> bytes:
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return crc32c(little).to_bytes(SEAL_BYTES, "little")


# --- loops ------------------------------------------------------------------------------------------------------------


def cut(pixels: npt.NDArray[Sample], tile: Tile) -> npt.NDArray[Sample]:
    """A tile's part of pixels (h, w, ...), a view."""
    return pixels[slice(*tile.y), slice(*tile.x)]


def encode_tiles(grid: Grid, encode: Callable[[Tile, int], Made], threads: int, *, beside: bool = True) -> list[Made]:
    """What `encode(tile, threads)` makes of every tile, row by row: its record, or those of its parts.

    Several tiles are coded beside each other, each on one thread, or with `beside=False` one after the other. 0 threads
    leave it to the machine.
    """
    tiles = list(grid)
    outer, inner = _share(threads, len(tiles), beside)
    return list(told(in_order(lambda tile: encode(tile, inner), tiles, outer), len(tiles)))


def decode_tiles(
    grid: Grid,
    region: Region | None,
    channels: int,
    depth: int,
    decode: Callable[[Tile, int], Pixels],
    threads: int,
    *,
    beside: bool = True,
) -> Pixels:
    """Pixels (h, w, channels) of a region (None: of all) from those tiles that it touches.

    `decode(tile, threads)` gives a whole tile (h, w, channels); `beside` as for `encode_tiles`. Raises `Unsupported`
    for a region that is not inside.
    """
    region = check_region(region, grid.height, grid.width)
    y, x = Span(region.y, region.y + region.height), Span(region.x, region.x + region.width)
    pixels = empty((region.height, region.width, channels), depth)
    tiles = grid.touching(y, x)
    outer, inner = _share(threads, len(tiles), beside)
    decoded = told(in_order(lambda tile: decode(tile, inner), tiles, outer), len(tiles))
    for tile, part in zip(tiles, decoded, strict=True):
        rows, columns = tile.y.shared(y), tile.x.shared(x)
        pixels[rows.within(y), columns.within(x)] = part[rows.within(tile.y), columns.within(tile.x)]
    return pixels


def _share(threads: int, tiles: int, beside: bool) -> tuple[int, int]:
    """Tiles in work at a time, and threads for each."""
    return (threads or cores(), 1) if beside and tiles > 1 else (1, threads)


class Halo:
    """Arrays of the tiles around the one in work, for transforms that see beyond a tile.

    Tiles come row by row, as `decode_tiles(..., beside=False)` takes them. Each array is made once, and dropped as work
    moves down.
    """

    def __init__(self, grid: Grid, margin: int, stride: int, make: Callable[[Tile], npt.NDArray[Any]]) -> None:
        """Prepare for a grid of whole strides.

        Parameters
        ----------
        margin
            Pixels around a tile that are wanted, a multiple of the stride, at most the side of a tile.
        stride
            Pixels per place of the arrays.
        make
            The array (1, c, h / stride, w / stride) of a tile.
        """
        self._grid, self._margin, self._stride, self._make = grid, margin, stride, make
        self._held: dict[tuple[int, int], npt.NDArray[Any]] = {}

    def around(self, tile: Tile) -> tuple[Span, Span, npt.NDArray[Any]]:
        """Rows and columns of a tile of the grid with its margin, in pixels, and the array (1, c, h, w) there."""
        rows, columns = tile.y.grown(self._margin, self._grid.height), tile.x.grown(self._margin, self._grid.width)
        self._held = {place: held for place, held in self._held.items() if place[0] >= tile.row - 1}
        window: npt.NDArray[Any] | None = None
        for near in self._grid.touching(rows, columns):
            held = self._at(near)
            if window is None:
                shape = *held.shape[:2], rows.size // self._stride, columns.size // self._stride
                window = np.empty(shape, held.dtype)
            y, x = near.y.shared(rows), near.x.shared(columns)
            part = held[:, :, strided(y, near.y, self._stride), strided(x, near.x, self._stride)]
            window[:, :, strided(y, rows, self._stride), strided(x, columns, self._stride)] = part
        assert window is not None
        return rows, columns, window

    def _at(self, tile: Tile) -> npt.NDArray[Any]:
        place = tile.row, tile.column
        if place not in self._held:
            self._held[place] = self._make(tile)
        return self._held[place]


def strided(span: Span, outer: Span, stride: int) -> slice:
    """Where a span of pixels lies in an array with one place per stride that covers `outer`."""
    inside = span.within(outer)
    return slice(inside.start // stride, inside.stop // stride)
