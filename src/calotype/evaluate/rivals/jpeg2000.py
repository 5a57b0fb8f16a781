"""JPEG 2000 by OpenJPEG: lossy through Pillow, lossless through imagecodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from ...image import Image
from .libraries import missing_in_imagecodecs, missing_in_pillow, open_with_pillow, samples_of, save_with_pillow
from .rival import EXACT, Kind, Ladder, Rung, Takes, rungs


@dataclass(frozen=True)
class Jpeg2000:
    """JPEG 2000 with the 9/7 wavelet and one layer; a quality is a compression ratio, as of `opj_compress -r`.

    Pillow's usual settings leave out the colour transform, which costs 3 dB. Published curves of OpenJPEG are of the
    5/3 wavelet: with `irreversible=False` this gives theirs to 0.02 dB on Kodak; 9/7 is 0.4 to 1.5 dB better.
    """

    ladder: ClassVar[Ladder] = rungs(240, 160, 120, 96, 72, 56, 44, 36, 28, 22, 18, 14, 12, 10, 9, 8)
    name: ClassVar[str] = "jpeg2000"
    title: ClassVar[str] = "JPEG 2000, 9/7 wavelet"
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".jp2"
    takes: ClassVar[Takes] = Takes(channels=frozenset({1, 3}))

    def missing(self) -> str | None:
        return missing_in_pillow("jpg_2000")

    def version(self) -> str:
        return f"OpenJPEG {features.version('jpg_2000')}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        colours = int(image.channels == 3)  # whether there are any to transform
        return save_with_pillow(
            image, "JPEG2000", quality_mode="rates", quality_layers=[rung.number], irreversible=True, mct=colours
        )

    def decode(self, data: bytes, threads: int) -> Image:
        return open_with_pillow(data)


@dataclass(frozen=True)
class Jpeg2000Lossless:
    """JPEG 2000 with the 5/3 wavelet and the reversible colour transform."""

    name: ClassVar[str] = "jpeg2000-lossless"
    title: ClassVar[str] = "JPEG 2000 lossless, 5/3 wavelet"
    kind: ClassVar[Kind] = "lossless"
    ending: ClassVar[str] = ".jp2"
    takes: ClassVar[Takes] = Takes(depths=frozenset({8, 16}), channels=frozenset({1, 3}))
    ladder: ClassVar[Ladder] = EXACT

    def missing(self) -> str | None:
        return missing_in_imagecodecs("JPEG2K")

    def version(self) -> str:
        import imagecodecs

        return str(imagecodecs.jpeg2k_version())

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        import imagecodecs

        return bytes(imagecodecs.jpeg2k_encode(samples_of(image), level=0, reversible=True, numthreads=threads))

    def decode(self, data: bytes, threads: int) -> Image:
        import imagecodecs

        return Image.from_array(imagecodecs.jpeg2k_decode(data, numthreads=threads))
