"""What a codec must offer to be measured, and what it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from ...image import MODES, Image

Kind = Literal["lossy", "lossless", "near-lossless"]


@dataclass(frozen=True)
class Rung:
    """One rung of a codec's ladder: an operating point to measure it at."""

    quality: float | None = None
    """Quality on the codec's own scale; None where it has no choice."""
    max_error: int | None = None
    """Largest error of any sample that is allowed; None where no bound is asked for."""

    @property
    def number(self) -> float:
        """What stands for it in tables: the quality or the bound, 0 where there is neither."""
        return float(next((number for number in (self.quality, self.max_error) if number is not None), 0))


Ladder = tuple[Rung, ...]

EXACT: Ladder = (Rung(),)
"""The ladder of a lossless codec: one rung."""
BOUNDS: Ladder = tuple(Rung(max_error=bound) for bound in (5, 4, 3, 2, 1))
"""The usual ladder of a near-lossless codec."""


def rungs(*qualities: float) -> Ladder:
    """A ladder of qualities."""
    return tuple(Rung(quality) for quality in qualities)


@dataclass(frozen=True)
class Takes:
    """The images that a codec takes as they are; nothing is converted for it."""

    depths: frozenset[int] = frozenset({8})
    """Bits per sample."""
    channels: frozenset[int] = frozenset({3})
    """Numbers of channels: 1 grey, 3 RGB; 2 and 4 have alpha."""
    views: frozenset[int] = frozenset({0})
    """Numbers of view dimensions: 0 a plain image, 1 stereo, 2 a light field."""

    def refusal(self, image: Image) -> str | None:
        """Why the codec does not take an image; None if it does."""
        if image.depth not in self.depths:
            return f"takes {_either(sorted(self.depths))} bits per sample, not {image.depth}"
        if image.channels not in self.channels:
            return f"takes {_either(MODES[count] for count in sorted(self.channels))} images, not {image.mode}"
        if len(image.views) not in self.views:
            return f"takes {_either(sorted(self.views))} dimensions of views, not {len(image.views)}"
        return None


class Rival(Protocol):
    """Anything that makes files of images; the models that we measure are rivals too."""

    @property
    def name(self) -> str:
        """Short, for files and tables: "jpeg-420"."""
        ...

    @property
    def title(self) -> str:
        """What it is, with its settings: "JPEG 4:2:0, optimised Huffman tables"."""
        ...

    @property
    def kind(self) -> Kind: ...

    @property
    def ending(self) -> str:
        """Ending of its files, with the dot."""
        ...

    @property
    def takes(self) -> Takes: ...

    @property
    def ladder(self) -> Ladder:
        """What to measure it at, from the smallest files up."""
        ...

    def missing(self) -> str | None:
        """Why it cannot run here and what to do about it, or None if it can."""
        ...

    def version(self) -> str:
        """Version of the library that does the work: "libjxl 0.11.1"."""
        ...

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        """Make a whole file, without metadata, of an image that it takes; libraries that know no threads use one."""
        ...

    def decode(self, data: bytes, threads: int) -> Image: ...


def _either(parts: Iterable[object]) -> str:
    """Join with "or"."""
    return " or ".join(map(str, parts))
