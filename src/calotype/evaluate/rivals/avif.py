"""AVIF by libaom, through Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from PIL import features

from ...image import Image
from .libraries import missing_in_pillow, open_with_pillow, save_with_pillow, set_for_now
from .rival import Kind, Ladder, Rung, Takes, rungs


@dataclass(frozen=True)
class Avif:
    """AVIF, never cut into tiles, so that the file does not depend on the number of threads."""

    subsampling: str
    """Subsampling of chroma: "4:2:0" or "4:4:4"."""
    speed: int
    """Speed of libaom, 0 to 10; Pillow's usual one is 6."""
    ladder: ClassVar[Ladder] = rungs(5, 12, 20, 30, 40, 50, 60, 70, 80, 90)
    kind: ClassVar[Kind] = "lossy"
    ending: ClassVar[str] = ".avif"
    takes: ClassVar[Takes] = Takes()

    @property
    def name(self) -> str:
        return f"avif-{self.subsampling.replace(':', '')}-s{self.speed}"

    @property
    def title(self) -> str:
        return f"AVIF {self.subsampling}, speed {self.speed}"

    def missing(self) -> str | None:
        return missing_in_pillow("avif")

    def version(self) -> str:
        from PIL.AvifImagePlugin import get_codec_version

        return f"libavif {features.version('avif')}, libaom {get_codec_version('aom')}"

    def encode(self, image: Image, rung: Rung, threads: int) -> bytes:
        return save_with_pillow(
            image,
            "AVIF",
            codec="aom",
            quality=int(rung.number),
            subsampling=self.subsampling,
            speed=self.speed,
            max_threads=threads,
            autotiling=False,
        )

    def decode(self, data: bytes, threads: int) -> Image:
        from PIL import AvifImagePlugin

        with set_for_now(AvifImagePlugin, "DEFAULT_MAX_THREADS", threads):
            return open_with_pillow(data)
