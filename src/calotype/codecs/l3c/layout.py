"""The bytes of an `l3c` payload: docs/FORMAT.md, "l3c".

One chunk `L` with the side of the tiles and one record per tile and part, tiles row by row. The parts are the colours
or grey, then alpha. A record is a hash of the part's pixels and its stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...codec import Chunk
from ...coding.checksum import crc32c
from ...coding.varint import join_records, split_records
from ...errors import CorruptFile, Desync, UnsupportedFile
from ...image import Pixels

CHUNK = "L"
HASH_BYTES = 4
TILE_UNIT = 64  # pixels
_TILE_MAX = 16  # of 1024 pixels: what a decoder must find memory for


@dataclass(frozen=True)
class Layout:
    """A payload, taken apart."""

    tile: int
    """Side of the tiles in pixels."""
    records: Sequence[bytes]
    """Parts of the first tile, then of the second, and so on."""

    def chunks(self) -> tuple[Chunk, ...]:
        return (Chunk(CHUNK, bytes([self.tile // TILE_UNIT]) + join_records(self.records)),)

    @classmethod
    def parse(cls, chunks: Sequence[Chunk]) -> Layout:
        """Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        if unknown := sorted({chunk.tag for chunk in chunks} - {CHUNK}):
            raise UnsupportedFile(
                f"the file has a part {unknown[0]!r} that this version does not know; update calotype"
            )
        if len(chunks) != 1 or not chunks[0].body:
            raise CorruptFile("the file lacks its pixels or has them twice")
        body = chunks[0].body
        if not 1 <= body[0] <= _TILE_MAX:
            raise CorruptFile(f"tiles of {body[0] * TILE_UNIT} pixels")
        return cls(body[0] * TILE_UNIT, split_records(body[1:]))


def pixel_hash(pixels: Pixels) -> bytes:
    """CRC32C of the pixels, row by row, channels fastest."""
    return crc32c(pixels.tobytes()).to_bytes(HASH_BYTES, "little")


def check_hash(pixels: Pixels, record: bytes, where: str) -> None:
    """Raise `Desync` if the pixels are not those that were encoded."""
    if pixel_hash(pixels) != record[:HASH_BYTES]:
        raise Desync(f"{where} decoded to other pixels than were encoded; nothing is returned")
