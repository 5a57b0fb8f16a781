"""What a file says of itself in its structure, beside what Pillow tells."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..image import Metadata


@dataclass(frozen=True)
class Declared:
    """What the readers of each format find before a pixel is decoded."""

    bits: int = 8
    """Per sample, the largest number of them."""
    metadata: Metadata = field(default_factory=Metadata)
    """Blocks that Pillow does not tell of, or not rightly."""
    transparent: int | tuple[int, ...] | None = None
    """The value that stands for no colour, as Pillow's pixels show it."""
    converted: str | None = None
    """What decoding converts so that it cannot be undone: `CMYK`, `premultiplied alpha`."""
    notes: tuple[str, ...] = ()
    """What else is in the file and is left out."""
