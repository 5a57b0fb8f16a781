"""JPEG-LS by CharLS, through imagecodecs: lossless and near-lossless, with and without a colour transform.

The transform is G, R - G, B - G. It is ours, for the standard has none, so its "files" are not plain JPEG-LS files.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...image import Image
from .libraries import missing_in_imagecodecs, samples_of
from .rival import BOUNDS, EXACT, Kind, Ladder, Rung, Takes

DEPTHS = frozenset({8, 16})
LENGTHS = struct.Struct("<II")  # of the streams of G and of R - G; that of B - G ends the file


@dataclass(frozen=True)
class JpegLs:
    """JPEG-LS, channels interleaved by sample.

    Near-lossless, it predicts from what the decoder will see, so that no error exceeds its NEAR.
    """

    near: bool = False
    ending: ClassVar[str] = ".jls"
    takes: ClassVar[Takes] = Takes(depths=DEPTHS, channels=frozenset({1, 3}))

    @property
    def name(self) -> str:
        return "jpegls-near" if self.near else "jpegls"

    @property
    def title(self) -> str:
        return "JPEG-LS of RGB, near-lossless" if self.near else "JPEG-LS of RGB"

    @property
    def kind(self) -> Kind:
        return "near-lossless" if self.near else "lossless"

    @property
    def ladder(self) -> Ladder:
        return BOUNDS if self.near else EXACT

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEGLS")

    def version(self) -> str:
        return _version()

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return _encode(samples_of(image), rung.max_error or 0)

    def decode(self, data: bytes, threads: int) -> Image:
        return Image.from_array(_decode(data))


@dataclass(frozen=True)
class JpegLsGreen:
    """Lossless JPEG-LS of G, R - G and B - G modulo 2^depth; the "file" is the stream of these three."""

    name: ClassVar[str] = "jpegls-green"
    title: ClassVar[str] = "JPEG-LS of G, R - G, B - G"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".green.jls"
    takes: ClassVar[Takes] = Takes(depths=DEPTHS)
    ladder: ClassVar[Ladder] = EXACT

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEGLS")

    def version(self) -> str:
        return _version()

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        red, green, blue = np.moveaxis(image.pixels, -1, 0)
        return _encode(np.stack([green, red - green, blue - green], axis=-1), 0)

    def decode(self, data: bytes, threads: int) -> Image:
        green, red, blue = np.moveaxis(_decode(data), -1, 0)
        return Image.from_array(np.stack([red + green, green, blue + green], axis=-1))


@dataclass(frozen=True)
class JpegLsNearGreen:
    """Near-lossless JPEG-LS of G, then of R and B less the G that the decoder will see.

    Differences from the true G would add its error to theirs. From the decoded one, R' = G' + (R - G')' is as far
    from R as (R - G')' from R - G', so the bound holds; and clipping brings R' nearer. Modulo 256 an error could
    wrap 255 to 0, so differences are 9 bits wide, in streams of 16 bits. The "file" is two lengths and three streams.
    """

    name: ClassVar[str] = "jpegls-near-green"
    title: ClassVar[str] = "JPEG-LS of G, R - G, B - G, near-lossless"
    kind: ClassVar[Kind] = "near-lossless"
    ending: ClassVar[str] = ".green.jls"
    takes: ClassVar[Takes] = Takes()
    ladder: ClassVar[Ladder] = BOUNDS

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEGLS")

    def version(self) -> str:
        return _version()

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        bound = rung.max_error or 0
        green = _encode(image.pixels[..., 1], bound)
        seen = _decode(green).astype(np.int32)
        red, blue = (_encode((image.pixels[..., c] - seen + 255).astype(np.uint16), bound) for c in (0, 2))
        return LENGTHS.pack(len(green), len(red)) + green + red + blue

    def decode(self, data: bytes, threads: int) -> Image:
        first, second = LENGTHS.unpack_from(data)
        starts = np.cumsum([LENGTHS.size, first, second])
        green, red, blue = (
            _decode(data[start:end]).astype(np.int32)
            for start, end in zip(starts, [*starts[1:], len(data)], strict=True)
        )
        planes = np.stack([green + red - 255, green, green + blue - 255], axis=-1)
        return Image.from_array(np.clip(planes, 0, 255).astype(np.uint8))


def _encode(samples: npt.NDArray[Any], near: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegls_encode(np.ascontiguousarray(samples), level=near))


def _decode(data: bytes) -> npt.NDArray[Any]:
    import imagecodecs

    return imagecodecs.jpegls_decode(data)


def _version() -> str:
    import imagecodecs

    return imagecodecs.jpegls_version()
