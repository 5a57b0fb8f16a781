"""The bytes of a `vae` payload: docs/format/vae.md.

`V` holds the rate and the latents of each tile, `A` the alpha planes of the same tiles, `F` a filter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ...codec import Chunk
from ...coding.varint import join_records, split_records
from ...errors import CorruptFile
from ...tiled import TiledChunk, bodies

LATENTS = TiledChunk("V", largest_side=2048, head=struct.Struct("<H"))  # the head is the position of the rate
ALPHA = "A"
FILTER = "F"


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
    taps: bytes = b""
    """Of the filter, plane after plane; empty without."""

    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of the file."""
        alpha = (Chunk(ALPHA, join_records(self.alpha)),) if self.alpha else ()
        taps = (Chunk(FILTER, self.taps),) if self.taps else ()
        return (LATENTS.pack(self.tile, self.latents, self.position), *alpha, *taps)

    @classmethod
    def parse(cls, chunks: Sequence[Chunk]) -> Layout:
        """Take chunks apart. Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        found = bodies(chunks, needed=LATENTS.tag, allowed=ALPHA + FILTER)
        side, latents, (position,) = LATENTS.parse(found[LATENTS.tag])
        alpha, taps = split_records(found.get(ALPHA, b"")), found.get(FILTER, b"")
        if FILTER in found and not taps:
            raise CorruptFile("the file has a filter without taps")
        return cls(position, side, latents, alpha, taps)
