"""JPEG 2000 by OpenJPEG, through Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from .libraries import missing_in_pillow, open_with_pillow, save_with_pillow
from .rival import RGB, Kind


@dataclass(frozen=True)
class Jpeg2000:
    """JPEG 2000 with the 9/7 wavelet and one layer; a quality is a compression ratio, as of `opj_compress -r`.

    Pillow's usual settings leave out the colour transform, which costs 3 dB. Published curves of OpenJPEG are of the
    5/3 wavelet: with `irreversible=False` this gives theirs to 0.02 dB on Kodak; 9/7 is 0.4 to 1.5 dB better.
    """

    qualities: tuple[float, ...] = (240, 160, 120, 96, 72, 56, 44, 36, 28, 22, 18, 14, 12, 10, 9, 8)
    name: ClassVar[str] = "jpeg2000"
    title: ClassVar[str] = "JPEG 2000, 9/7 wavelet"
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".jp2"

    def missing(self) -> str | None:
        return missing_in_pillow("jpg_2000")

    def version(self) -> str:
        return f"OpenJPEG {features.version('jpg_2000')}"

    def encode(self, pixels: RGB, quality: float, threads: int) -> bytes:
        return save_with_pillow(
            pixels, "JPEG2000", quality_mode="rates", quality_layers=[quality], irreversible=True, mct=1
        )

    def decode(self, data: bytes, threads: int) -> RGB:
        return open_with_pillow(data)
