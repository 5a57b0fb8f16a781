"""The bytes of a `fit` payload: docs/format/fit.md.

`N` holds the networks and latents of each tile, `A` the alpha planes of the same tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...codec import Chunk
from ...coding.planes import pack_plane, unpack_plane
from ...coding.varint import join_records, split_records
from ...image import Pixels, empty
from ...tiled import TiledChunk, bodies

TILES = TiledChunk("N", largest_side=2048)
ALPHA = "A"


@dataclass(frozen=True)
class Layout:
    """A payload, taken apart."""

    side: int
    """Of the tiles, in pixels."""
    tiles: Sequence[bytes]
    """One record per tile, row by row."""
    alpha: Sequence[bytes] = ()
    """One coded plane per tile; empty without alpha."""

    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of the file."""
        alpha = (Chunk(ALPHA, join_records(self.alpha)),) if self.alpha else ()
        return (TILES.pack(self.side, self.tiles), *alpha)

    @classmethod
    def parse(cls, chunks: Sequence[Chunk]) -> Layout:
        """Take chunks apart. Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        found = bodies(chunks, needed=TILES.tag, allowed=ALPHA)
        side, tiles, _ = TILES.parse(found[TILES.tag])
        return cls(side, tiles, split_records(found.get(ALPHA, b"")))


def pack_alpha(plane: npt.NDArray[Any], depth: int) -> bytes:
    """(h, w) -> without loss; of more than 8 bits the high bytes come first, then the low ones."""
    if depth <= 8:
        return pack_plane(plane.astype(np.uint8, copy=False))
    return pack_plane(np.concatenate([plane >> 8, plane & 255]).astype(np.uint8))


def unpack_alpha(data: bytes, height: int, width: int, depth: int) -> Pixels:
    """Undo `pack_alpha`. Raises `CorruptFile`."""
    if depth <= 8:
        return unpack_plane(data, height, width)
    both = unpack_plane(data, 2 * height, width).astype(np.uint16)
    plane = empty((height, width), depth)
    plane[:] = both[:height] << 8 | both[height:]
    return plane
