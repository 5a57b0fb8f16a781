"""The bytes of a `nearlossless` payload: docs/format/nearlossless.md.

Two chunks, the base and what is missing; each has one record per tile and part, tiles row by row. The parts of the base
are the colours or grey, then alpha.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ...codec import Chunk
from ...errors import CorruptFile
from ...tiled import TiledChunk, bodies

LARGEST_SIDE = 1024
BASE = TiledChunk("B", LARGEST_SIDE)
MISSING = TiledChunk("M", LARGEST_SIDE, struct.Struct("B"))  # the head is the bound

MODELLED, EXACT = 0, 1  # kinds of records of what is missing: by the networks, or the whole tile without them and loss


@dataclass(frozen=True)
class Layout:
    """A payload, taken apart."""

    tile: int
    """Side of the tiles in pixels."""
    base: Sequence[bytes]
    missing: Sequence[bytes] | None
    """None where only the base is there, or asked for."""
    bound: int = 0

    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of the file."""
        assert self.missing is not None
        return BASE.pack(self.tile, self.base), MISSING.pack(self.tile, self.missing, self.bound)

    @classmethod
    def parse(cls, chunks: Sequence[Chunk], only_base: bool) -> Layout:
        """Take chunks apart. Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        needed, allowed = (BASE.tag, MISSING.tag) if only_base else (BASE.tag + MISSING.tag, "")
        found = bodies(chunks, needed, allowed)
        side, base, _ = BASE.parse(found[BASE.tag])
        if only_base:
            return cls(side, base, None)
        other, missing, (bound,) = MISSING.parse(found[MISSING.tag])
        if other != side:
            raise CorruptFile(f"tiles of {side} pixels in one layer, of {other} in the other")
        return cls(side, base, missing, bound)
