"""The bytes of a `vae` payload: docs/FORMAT.md, "vae".

`V` holds the rate, the tile size and one record per tile, `A` the alpha planes of the same tiles. A record is a varint
length and that many bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ...codec import Chunk
from ...coding.varint import join_records, split_records
from ...errors import CorruptFile, UnsupportedFile
from .recipe import HYPER_STRIDE

LATENTS, ALPHA = "V", "A"
_CELLS_MAX = 32  # tiles of 2048 pixels: what a decoder must find memory for
_HEAD = struct.Struct("<HB")  # rate position, tile side / HYPER_STRIDE


@dataclass(frozen=True)
class Layout:
    """A payload, taken apart."""

    position: int
    """Of the rate, in steps / RATE_UNIT."""
    tile: int
    """Side of the tiles in pixels."""
    latents: Sequence[bytes]
    """One record per tile, row by row."""
    alpha: Sequence[bytes] = ()
    """Likewise; empty without alpha."""

    def chunks(self) -> tuple[Chunk, ...]:
        head = _HEAD.pack(self.position, self.tile // HYPER_STRIDE)
        chunks = [Chunk(LATENTS, head + join_records(self.latents))]
        if self.alpha:
            chunks.append(Chunk(ALPHA, join_records(self.alpha)))
        return tuple(chunks)

    @classmethod
    def parse(cls, chunks: Sequence[Chunk]) -> Layout:
        """Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        bodies = {chunk.tag: chunk.body for chunk in chunks}
        if unknown := sorted(tag for tag in bodies.keys() - {LATENTS, ALPHA} if tag.isupper()):
            raise UnsupportedFile(
                f"the file has a part {unknown[0]!r} that this version does not know; update calotype"
            )
        body = bodies.get(LATENTS, b"")
        if len(body) < _HEAD.size or len(bodies) != len(chunks):
            raise CorruptFile("the file lacks its latents or has them twice")
        position, cells = _HEAD.unpack_from(body)
        if not 1 <= cells <= _CELLS_MAX:
            raise CorruptFile(f"tiles of {cells * HYPER_STRIDE} pixels")
        return cls(
            position, cells * HYPER_STRIDE, split_records(body[_HEAD.size :]), split_records(bodies.get(ALPHA, b""))
        )
