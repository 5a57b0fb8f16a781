"""JPEG XL by libjxl, through imagecodecs: lossy by distance, lossless, and near-lossless by quantising first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...image import Image
from .libraries import missing_in_imagecodecs, samples_of
from .rival import BOUNDS, EXACT, Kind, Ladder, Rung, Takes, rungs

DEPTHS = frozenset({8, 16})


@dataclass(frozen=True)
class JpegXL:
    """Lossy JPEG XL; a quality is a Butteraugli distance, of which libjxl takes 25 at most."""

    effort: int
    """Effort of libjxl, 1 to 9; its usual one is 7."""
    ladder: ClassVar[Ladder] = rungs(25, 15, 10, 7, 5, 3.5, 2.5, 1.8, 1.3, 1, 0.8, 0.6)
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".jxl"
    takes: ClassVar[Takes] = Takes(depths=DEPTHS, channels=frozenset({1, 3}))

    @property
    def name(self) -> str:
        return f"jxl-e{self.effort}"

    @property
    def title(self) -> str:
        return f"JPEG XL, effort {self.effort}"

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEGXL")

    def version(self) -> str:
        return _version()

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        import imagecodecs

        samples = samples_of(image)
        return bytes(imagecodecs.jpegxl_encode(samples, effort=self.effort, distance=rung.number, numthreads=threads))

    def decode(self, data: bytes, threads: int) -> Image:
        return _decode(data, threads)


@dataclass(frozen=True)
class JpegXLLossless:
    """Lossless JPEG XL."""

    effort: int
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".jxl"
    takes: ClassVar[Takes] = Takes(depths=DEPTHS, channels=frozenset({1, 2, 3, 4}))
    ladder: ClassVar[Ladder] = EXACT

    @property
    def name(self) -> str:
        return f"jxl-lossless-e{self.effort}"

    @property
    def title(self) -> str:
        return f"JPEG XL lossless, effort {self.effort}"

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEGXL")

    def version(self) -> str:
        return _version()

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return _encode_lossless(image, self.effort, threads)

    def decode(self, data: bytes, threads: int) -> Image:
        return _decode(data, threads)


@dataclass(frozen=True)
class JpegXLNear:
    """Samples quantised to within delta, then lossless JPEG XL.

    A "file" is one byte, delta, and the JPEG XL file of the indices. The quantiser is ours, for libjxl promises no
    bound. Up to 1024 different colours libjxl uses a palette, which from delta 4 up makes many photos larger.
    """

    effort: int = 7
    kind: ClassVar[Kind] = "near-lossless"
    ending: ClassVar[str] = ".near.jxl"
    takes: ClassVar[Takes] = Takes(depths=DEPTHS, channels=frozenset({1, 3}))
    ladder: ClassVar[Ladder] = BOUNDS

    @property
    def name(self) -> str:
        return "jxl-near" if self.effort == 7 else f"jxl-near-e{self.effort}"

    @property
    def title(self) -> str:
        return f"JPEG XL lossless of quantised samples, effort {self.effort}"

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEGXL")

    def version(self) -> str:
        return _version()

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        delta = rung.max_error or 0
        return bytes([delta]) + _encode_lossless(quantise(image, delta), self.effort, threads)

    def decode(self, data: bytes, threads: int) -> Image:
        return dequantise(_decode(data[1:], threads), data[0])


def quantise(image: Image, delta: int) -> Image:
    """Give each sample the index of its cell; cells are 2 delta + 1 wide and centred on multiples of that."""
    indices = (image.pixels.astype(np.int32) + delta) // (2 * delta + 1)
    return Image(indices.astype(image.pixels.dtype), image.depth)  # type: ignore[arg-type]


def dequantise(indices: Image, delta: int) -> Image:
    """Take the centres of the cells.

    The last may lie beyond the largest value, as no sample does, so clipping only brings it nearer: no error exceeds
    delta.
    """
    centres = np.minimum(indices.pixels.astype(np.int32) * (2 * delta + 1), (1 << indices.depth) - 1)
    return Image(centres.astype(indices.pixels.dtype), indices.depth)  # type: ignore[arg-type]


def _encode_lossless(image: Image, effort: int, threads: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(samples_of(image), effort=effort, lossless=True, numthreads=threads))


def _decode(data: bytes, threads: int) -> Image:
    import imagecodecs

    return Image.from_array(imagecodecs.jpegxl_decode(data, numthreads=threads))


def _version() -> str:
    import imagecodecs

    return imagecodecs.jpegxl_version()
