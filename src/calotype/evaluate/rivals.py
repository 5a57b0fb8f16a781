"""What people use today, behind one interface: a quality in, a whole file out.

All run in this process through Pillow, with the settings that give the smallest files of each, and no metadata.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import features

RGB = npt.NDArray[np.uint8]  # (height, width, 3)


class Rival(Protocol):
    """Anything that makes files of pictures; the models that we measure are rivals too."""

    @property
    def name(self) -> str:
        """Short, for files and tables."""
        ...

    @property
    def title(self) -> str:
        """What it is, with its settings."""
        ...

    @property
    def qualities(self) -> tuple[float, ...]:
        """The ladder to measure, from the smallest files up."""
        ...

    def encode(self, pixels: RGB, quality: float) -> bytes: ...

    def decode(self, data: bytes) -> RGB: ...


@dataclass(frozen=True)
class Jpeg:
    """Baseline JPEG of libjpeg-turbo with optimised Huffman tables."""

    subsampling: str
    """Of chroma: "4:2:0" or "4:4:4"."""
    qualities: tuple[float, ...] = (3, 5, 8, 12, 17, 23, 30, 40, 50, 60, 70, 78, 85, 90, 94, 97)

    @property
    def name(self) -> str:
        return f"jpeg-{self.subsampling.replace(':', '')}"

    @property
    def title(self) -> str:
        return f"JPEG {self.subsampling}, optimised Huffman tables"

    def encode(self, pixels: RGB, quality: float) -> bytes:
        return _save(pixels, "JPEG", quality=int(quality), optimize=True, subsampling=self.subsampling)

    def decode(self, data: bytes) -> RGB:
        return _open(data)


@dataclass(frozen=True)
class WebP:
    """Lossy WebP of libwebp, slowest method."""

    name: ClassVar[str] = "webp"
    title: ClassVar[str] = "WebP, method 6"
    qualities: tuple[float, ...] = (0, 2, 5, 10, 20, 30, 40, 50, 60, 70, 78, 85, 90, 94, 97, 100)

    def encode(self, pixels: RGB, quality: float) -> bytes:
        return _save(pixels, "WEBP", quality=int(quality), method=6)

    def decode(self, data: bytes) -> RGB:
        return _open(data)


@dataclass(frozen=True)
class Avif:
    """AVIF of libaom in 4:4:4 at Pillow's usual speed."""

    name: ClassVar[str] = "avif-444"
    title: ClassVar[str] = "AVIF 4:4:4, speed 6"
    qualities: tuple[float, ...] = (5, 12, 20, 30, 40, 50, 60, 70, 80, 90, 96)

    def encode(self, pixels: RGB, quality: float) -> bytes:
        return _save(pixels, "AVIF", quality=int(quality), subsampling="4:4:4", speed=6)

    def decode(self, data: bytes) -> RGB:
        return _open(data)


JPEG_420, JPEG_444, WEBP, AVIF = Jpeg("4:2:0"), Jpeg("4:4:4"), WebP(), Avif()


def available() -> list[Rival]:
    """Those that this build of Pillow can write."""
    needs: list[tuple[Rival, str]] = [(JPEG_420, "jpg"), (JPEG_444, "jpg"), (WEBP, "webp"), (AVIF, "avif")]
    return [rival for rival, feature in needs if features.check(feature)]


def _save(pixels: RGB, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


def _open(data: bytes) -> RGB:
    with Pillow.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
