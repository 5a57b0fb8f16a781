"""PNG, through Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from .libraries import missing_in_pillow, open_with_pillow, save_with_pillow
from .rival import EXACT, RGB, Kind


@dataclass(frozen=True)
class Png:
    """PNG with adaptive filters and the strongest Deflate that Pillow has."""

    name: ClassVar[str] = "png"
    title: ClassVar[str] = "PNG, optimised by Pillow"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".png"
    qualities: ClassVar[tuple[float, ...]] = EXACT

    def missing(self) -> str | None:
        return missing_in_pillow("zlib")

    def version(self) -> str:
        other = features.version("zlib_ng")
        return f"zlib-ng {other}" if other else f"zlib {features.version('zlib')}"

    def encode(self, pixels: RGB, quality: float, threads: int) -> bytes:
        return save_with_pillow(pixels, "PNG", optimize=True)

    def decode(self, data: bytes, threads: int) -> RGB:
        return open_with_pillow(data)
