"""HEIC, which is HEVC in a HEIF file, by x265 and libde265, through pillow-heif."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .libraries import missing_package, set_for_now
from .rival import RGB, Kind


@dataclass(frozen=True)
class Heic:
    """HEIC 4:4:4 as libheif sets up x265: preset slow, tuned for SSIM, which costs some PSNR."""

    qualities: tuple[float, ...] = (10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65)
    name: ClassVar[str] = "heic-444"
    title: ClassVar[str] = "HEIC 4:4:4, x265 preset slow"
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".heic"

    def missing(self) -> str | None:
        if reason := missing_package("pillow_heif"):
            return reason
        import pillow_heif

        if pillow_heif.libheif_info()["HEIF"]:
            return None
        return "this build of pillow_heif has no HEVC encoder; run: pip install --upgrade pillow-heif"

    def version(self) -> str:
        import pillow_heif

        return f"libheif {pillow_heif.libheif_version()}, {pillow_heif.libheif_info()['HEIF']}"

    def encode(self, pixels: RGB, quality: float, threads: int) -> bytes:
        import pillow_heif

        file, (height, width, _) = io.BytesIO(), pixels.shape
        settings = {"preset": "slow", "x265:pools": str(threads)}
        pillow_heif.encode(
            "RGB", (width, height), pixels.tobytes(), file, quality=int(quality), chroma=444, enc_params=settings
        )
        return file.getvalue()

    def decode(self, data: bytes, threads: int) -> RGB:
        import pillow_heif

        with set_for_now(pillow_heif.options, "DECODE_THREADS", threads):
            return np.array(pillow_heif.open_heif(data))
