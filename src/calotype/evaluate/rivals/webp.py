"""WebP by libwebp, through Pillow: its lossy and its lossless format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from ...image import Image
from .libraries import missing_in_pillow, open_with_pillow, save_with_pillow
from .rival import EXACT, Kind, Ladder, Rung, Takes, rungs


@dataclass(frozen=True)
class WebP:
    """Lossy WebP, slowest method."""

    ladder: ClassVar[Ladder] = rungs(0, 2, 5, 10, 20, 30, 40, 50, 60, 70, 78, 85, 90, 94, 97, 100)
    name: ClassVar[str] = "webp"
    title: ClassVar[str] = "WebP, method 6"
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".webp"
    takes: ClassVar[Takes] = Takes(channels=frozenset({3, 4}))

    def missing(self) -> str | None:
        return missing_in_pillow("webp")

    def version(self) -> str:
        return f"libwebp {features.version('webp')}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return save_with_pillow(image, "WEBP", quality=int(rung.number), method=6)

    def decode(self, data: bytes, threads: int) -> Image:
        return open_with_pillow(data)


@dataclass(frozen=True)
class WebPLossless:
    """Lossless WebP, slowest method and greatest effort."""

    name: ClassVar[str] = "webp-lossless"
    title: ClassVar[str] = "WebP lossless, method 6, effort 100"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".webp"
    takes: ClassVar[Takes] = Takes(channels=frozenset({3, 4}))
    ladder: ClassVar[Ladder] = EXACT

    def missing(self) -> str | None:
        return missing_in_pillow("webp")

    def version(self) -> str:
        return f"libwebp {features.version('webp')}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return save_with_pillow(image, "WEBP", lossless=True, quality=100, method=6, exact=True)

    def decode(self, data: bytes, threads: int) -> Image:
        return open_with_pillow(data)
