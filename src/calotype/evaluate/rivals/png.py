"""PNG: of 8 bits through Pillow, of 16 bits through imagecodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from ...image import Image
from .libraries import missing_in_imagecodecs, missing_in_pillow, open_with_pillow, samples_of, save_with_pillow
from .rival import EXACT, Kind, Ladder, Rung, Takes

ALL_CHANNELS = frozenset({1, 2, 3, 4})


@dataclass(frozen=True)
class Png:
    """PNG with adaptive filters and the strongest Deflate that Pillow has."""

    name: ClassVar[str] = "png"
    title: ClassVar[str] = "PNG, optimised by Pillow"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".png"
    takes: ClassVar[Takes] = Takes(channels=ALL_CHANNELS)
    ladder: ClassVar[Ladder] = EXACT

    def missing(self) -> str | None:
        return missing_in_pillow("zlib")

    def version(self) -> str:
        other = features.version("zlib_ng")
        return f"zlib-ng {other}" if other else f"zlib {features.version('zlib')}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return save_with_pillow(image, "PNG", optimize=True)

    def decode(self, data: bytes, threads: int) -> Image:
        return open_with_pillow(data)


@dataclass(frozen=True)
class DeepPng:
    """PNG of 16 bits, which Pillow cannot write in colour: adaptive filters and the strongest Deflate of libpng."""

    name: ClassVar[str] = "png-16"
    title: ClassVar[str] = "PNG of 16 bits, level 9"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".png"
    takes: ClassVar[Takes] = Takes(depths=frozenset({16}), channels=ALL_CHANNELS)
    ladder: ClassVar[Ladder] = EXACT

    def missing(self) -> str | None:
        return missing_in_imagecodecs("PNG")

    def version(self) -> str:
        import imagecodecs

        return str(imagecodecs.png_version())

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        import imagecodecs

        return bytes(imagecodecs.png_encode(samples_of(image), level=9))

    def decode(self, data: bytes, threads: int) -> Image:
        import imagecodecs

        return Image.from_array(imagecodecs.png_decode(data))
