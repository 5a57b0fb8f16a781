"""What tiled codecs share: records, their checks, and the loops over tiles."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from calotype.codec import Chunk
from calotype.errors import CorruptFile, Desync, UnsupportedFile
from calotype.options import Region
from calotype.tiled import (
    Halo,
    TiledChunk,
    bodies,
    check_count,
    check_seal,
    cut,
    decode_tiles,
    encode_tiles,
    open_record,
    seal,
)
from calotype.tiling import Grid, Tile

PLAIN = TiledChunk("T", largest_side=256)
HEADED = TiledChunk("T", largest_side=256, head=struct.Struct("<H"))


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_chunks_come_back() -> None:
    records = [b"", b"one", bytes(300)]
    assert PLAIN.parse(PLAIN.pack(128, records).body) == (128, records, ())
    assert HEADED.parse(HEADED.pack(64, records, 700).body) == (64, records, (700,))
    assert HEADED.pack(64, [b"ab"], 258).body == b"\x02\x01" + b"\x01" + b"\x02ab"


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x05\x01a", b"\x01\x05a"], ids=repr)
def test_broken_chunks_are_refused(body: bytes) -> None:
    with pytest.raises(CorruptFile):
        PLAIN.parse(body)


def test_each_chunk_is_there_once() -> None:
    one, two = Chunk("T", b"t"), Chunk("A", b"a")
    assert bodies([one, two], "T", "A") == {"T": b"t", "A": b"a"}
    assert bodies([one], "T", "A") == {"T": b"t"}
    for chunks in ([two], [], [one, one]):
        with pytest.raises(CorruptFile):
            bodies(chunks, "T", "A")
    with pytest.raises(UnsupportedFile, match="'Q'"):
        bodies([one, Chunk("Q", b"")], "T", "A")


def test_records_are_counted() -> None:
    grid = Grid(100, 200, 64)
    check_count([b""] * 16, grid, parts=2)
    with pytest.raises(CorruptFile, match="8 records of tiles, it has 7"):
        check_count([b""] * 7, grid)


def test_a_seal_is_of_the_values() -> None:
    values = np.arange(-5, 5, dtype=np.int16).reshape(2, 5)
    tile = Grid(10, 10, 64).tile(0, 0)
    sealed, body = open_record(seal(values, b"body"))
    assert body == b"body"
    check_seal(sealed, values.astype(">i2"), tile)  # whatever order the machine keeps bytes in
    check_seal(sealed, np.asfortranarray(values), tile)
    with pytest.raises(Desync, match="tile 0,0"):
        check_seal(sealed, values + 1, tile)
    with pytest.raises(CorruptFile, match="cut off"):
        open_record(b"abc")


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("beside", [True, False])
def test_tiles_become_the_image_again(threads: int, beside: bool) -> None:
    pixels = image(150, 130)
    grid = Grid(150, 130, 64)
    seen: list[int] = []

    def encode(tile: Tile, inner: int) -> bytes:
        seen.append(inner)
        return cut(pixels, tile).tobytes()

    def decode(tile: Tile, inner: int) -> np.ndarray:
        return np.frombuffer(grid.of(records, tile), np.uint8).reshape(tile.y.size, tile.x.size, 3)

    records = encode_tiles(grid, encode, threads, beside=beside)
    assert set(seen) == {1 if beside else threads}
    assert len(records) == 9
    for region in (None, Region(0, 0, 130, 150), Region(60, 63, 9, 66), Region(129, 149, 1, 1)):
        x, y, width, height = region or Region(0, 0, 130, 150)
        part = decode_tiles(grid, region, 3, 8, decode, threads, beside=beside)
        np.testing.assert_array_equal(part, pixels[y : y + height, x : x + width])


def test_only_the_tiles_of_a_region_are_decoded() -> None:
    grid, decoded = Grid(256, 256, 64), []

    def decode(tile: Tile, threads: int) -> np.ndarray:
        decoded.append((tile.row, tile.column))
        return np.zeros((64, 64, 1), np.uint8)

    decode_tiles(grid, Region(70, 130, 60, 10), 1, 8, decode, 1)
    assert decoded == [(2, 1), (2, 2)]


def test_one_tile_has_all_threads() -> None:
    assert encode_tiles(Grid(60, 60, 64), lambda tile, threads: threads, 5) == [5]


def test_a_halo_is_the_image_around_a_tile() -> None:
    """Each tile is made once, and what is seen around it is what a transform of the whole image would see."""
    grid, stride, margin = Grid(192, 256, 64), 4, 16
    whole = np.arange(192 // stride * (256 // stride)).reshape(1, 1, 192 // stride, 256 // stride)
    made: list[tuple[int, int]] = []

    def make(tile: Tile) -> np.ndarray:
        made.append((tile.row, tile.column))
        rows, columns = (slice(span.start // stride, span.stop // stride) for span in (tile.y, tile.x))
        return whole[:, :, rows, columns]

    halo = Halo(grid, margin, stride, make)
    for tile in grid:
        rows, columns, window = halo.around(tile)
        assert rows == tile.y.grown(margin, 192)
        assert columns == tile.x.grown(margin, 256)
        there = whole[
            :, :, rows.start // stride : rows.stop // stride, columns.start // stride : columns.stop // stride
        ]
        np.testing.assert_array_equal(window, there)
    assert sorted(made) == [(tile.row, tile.column) for tile in grid]
