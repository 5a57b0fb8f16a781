"""The bytes of an `rnn` payload: docs/format/rnn.md. Each `I` chunk is what one iteration adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...codec import Chunk
from ...coding.varint import join_records, read_record
from ...errors import CorruptFile, UnsupportedFile
from ...tiled import SIDE_UNIT

ITERATION = "I"
LARGEST_SIDE = 2048  # pixels of a tile: what a decoder must find memory for


@dataclass(frozen=True)
class Layout:
    """A payload, taken apart."""

    tile: int
    """Side of the tiles in pixels."""
    iterations: Sequence[bytes]
    """A record for each."""
    alpha: bytes = b""
    """A coded plane; empty without alpha."""

    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of the file."""
        first, *others = self.iterations
        head = bytes([self.tile // SIDE_UNIT]) + join_records([self.alpha])
        return tuple(Chunk(ITERATION, body) for body in (head + first, *others))

    @classmethod
    def parse(cls, chunks: Sequence[Chunk]) -> Layout:
        """Take chunks apart. Raises `CorruptFile`, and `UnsupportedFile` for chunks this version does not know."""
        if unknown := sorted({chunk.tag for chunk in chunks} - {ITERATION}):
            raise UnsupportedFile(
                f"the file has a part {unknown[0]!r} that this version does not know; update calotype"
            )
        if not chunks:
            raise CorruptFile("the file has no iterations")
        first, *others = (chunk.body for chunk in chunks)
        side = first[0] * SIDE_UNIT if first else 0
        if not 0 < side <= LARGEST_SIDE:
            raise CorruptFile(f"tiles of {side} pixels are none of this codec")
        alpha, place = read_record(memoryview(first), 1)
        return cls(side, (first[place:], *others), alpha)
