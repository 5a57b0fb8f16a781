"""JPEG by libjpeg-turbo, through Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from ...image import Image
from .libraries import missing_in_pillow, open_with_pillow, save_with_pillow
from .rival import Kind, Ladder, Rung, Takes, rungs


@dataclass(frozen=True)
class Jpeg:
    """Baseline JPEG with optimised Huffman tables."""

    subsampling: str
    """Subsampling of chroma: "4:2:0" or "4:4:4"."""
    ladder: ClassVar[Ladder] = rungs(3, 5, 8, 12, 17, 23, 30, 40, 50, 60, 70, 78, 85, 90, 94, 97)
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".jpg"
    takes: ClassVar[Takes] = Takes(channels=frozenset({1, 3}))

    @property
    def name(self) -> str:
        return f"jpeg-{self.subsampling.replace(':', '')}"

    @property
    def title(self) -> str:
        return f"JPEG {self.subsampling}, optimised Huffman tables"

    def missing(self) -> str | None:
        return missing_in_pillow("jpg")

    def version(self) -> str:
        turbo = features.version("libjpeg_turbo")
        return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return save_with_pillow(image, "JPEG", quality=int(rung.number), optimize=True, subsampling=self.subsampling)

    def decode(self, data: bytes, threads: int) -> Image:
        return open_with_pillow(data)
