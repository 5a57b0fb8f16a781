"""The bytes of a `vae` payload: docs/format/vae.md.

`V` holds the rate and the latents of each tile, `A` the alpha planes of the same tiles.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ...codec import Chunk
from ...coding.varint import join_records, split_records
from ...tiled import TiledChunk, bodies

LATENTS = TiledChunk("V", largest_side=2048, head=struct.Struct("<H"))  # the head is the position of the rate
ALPHA = "A"


@dataclass(frozen=True)
class Layout:
    """A payload, taken apart."""

    position: int
    """Position of the rate, in steps / RATE_UNIT."""
    tile: int
    """Side of the tiles in pixels."""
    latents: Sequence[bytes]
    """One record per tile, row by row."""
    alpha: Sequence[bytes] = ()
    """One coded plane per tile; empty without alpha."""

    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of the file."""
        alpha = (Chunk(ALPHA, join_records(self.alpha)),) if self.alpha else ()
        return (LATENTS.pack(self.tile, self.latents, self.position), *alpha)

    @classmethod
    def parse(cls, chunks: Sequence[Chunk]) -> Layout:
        """Take chunks apart. Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        found = bodies(chunks, needed=LATENTS.tag, allowed=ALPHA)
        side, latents, (position,) = LATENTS.parse(found[LATENTS.tag])
        return cls(position, side, latents, split_records(found.get(ALPHA, b"")))
