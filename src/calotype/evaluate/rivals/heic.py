"""HEIC, which is HEVC in a HEIF file, by x265 and libde265, through pillow-heif."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...image import Image
from .libraries import missing_package, set_for_now
from .rival import Kind, Ladder, Rung, Takes, rungs


@dataclass(frozen=True)
class Heic:
    """HEIC 4:4:4 as libheif sets up x265: preset slow, tuned for SSIM, which costs some PSNR."""

    ladder: ClassVar[Ladder] = rungs(10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65)
    name: ClassVar[str] = "heic-444"
    title: ClassVar[str] = "HEIC 4:4:4, x265 preset slow"
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".heic"
    takes: ClassVar[Takes] = Takes()

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

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        import pillow_heif

        file, size = io.BytesIO(), (image.width, image.height)
        settings = {"preset": "slow", "x265:pools": str(threads)}
        pillow_heif.encode(
            "RGB", size, image.pixels.tobytes(), file, quality=int(rung.number), chroma=444, enc_params=settings
        )
        return file.getvalue()

    def decode(self, data: bytes, threads: int) -> Image:
        import pillow_heif

        with set_for_now(pillow_heif.options, "DECODE_THREADS", threads):
            return Image.from_array(np.array(pillow_heif.open_heif(data)))
