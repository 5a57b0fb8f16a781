"""Measure models and rivals over a folder of pictures: real files, decoded again.

Glossary: bpp is 8 * bytes of the file / pixels; `bpp_ideal` comes from the bit counter and is a column of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image as Pillow

from .. import api
from ..errors import CalotypeError
from ..io import PICTURE_ENDINGS
from .metrics import SMALLEST_SIDE, ms_ssim, psnr
from .rivals import RGB, Rival

LADDER = tuple(float(quality) for quality in range(0, 101, 10))


@dataclass(frozen=True)
class Picture:
    name: str
    pixels: RGB


@dataclass(frozen=True)
class Measured:
    """A model in the role of a rival, with what only models can tell."""

    model: api.Model
    qualities: tuple[float, ...] = LADDER

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def title(self) -> str:
        return f"Calotype {self.model.name}"

    def encode(self, pixels: RGB, quality: float) -> bytes:
        return self.model.encode(pixels, quality)

    def decode(self, data: bytes) -> RGB:
        return self.model.decode(data)  # type: ignore[return-value]

    def ideal_bits(self, pixels: RGB, quality: float) -> float:
        return self.model.count_bits(pixels, quality)

    def frame_bytes(self, data: bytes) -> int:
        """Header, checksums and lengths: all of the file but the bodies of its chunks."""
        return len(data) - sum(size for _, size in api.info(data).chunks)


@dataclass(frozen=True)
class Sample:
    """One picture at one quality."""

    picture: str
    quality: float
    bytes: int
    pixels: int
    psnr: float
    """dB over RGB."""
    encode_seconds: float
    decode_seconds: float
    ms_ssim: float | None = None
    ideal_bits: float | None = None
    """By the bit counter; models only."""
    frame_bytes: int | None = None
    """`Measured.frame_bytes`; models only."""

    @cached_property
    def bpp(self) -> float:
        return 8 * self.bytes / self.pixels


@dataclass(frozen=True)
class Point:
    """Means over the pictures at one quality; PSNR is the mean of the pictures' PSNR in dB, as the field does it."""

    quality: float
    bpp: float
    psnr: float
    ms_ssim: float | None
    bpp_ideal: float | None
    encode_seconds: float
    """Per picture, in this process."""
    decode_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Rounded for files; what was not measured is left out."""
        rounded = {key: round(value, 5) for key, value in asdict(self).items() if value is not None}
        return rounded | {"quality": self.quality}


def load_pictures(folder: Path, limit: int | None = None) -> list[Picture]:
    """The first `limit` pictures of a folder by name, as RGB.

    Raises
    ------
    CalotypeError
        The folder is not there or holds none.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURE_ENDINGS)[:limit]
    if not paths:
        raise CalotypeError(f"{folder} holds no pictures to measure; name a folder that does")
    pictures = []
    for path in paths:
        with Pillow.open(path) as picture:
            pictures.append(Picture(path.name, np.asarray(picture.convert("RGB"))))
    return pictures


def measure(
    rival: Rival,
    pictures: Iterable[Picture],
    *,
    similarity: bool = False,
    report: Callable[[Point], None] = lambda point: None,
) -> list[Sample]:
    """Code and decode every picture at every quality of the rival's ladder.

    Parameters
    ----------
    similarity
        Measure MS-SSIM too, where pictures are large enough; it takes longer than all else.
    report
        Called after each quality.
    """
    pictures = list(pictures)
    rival.decode(rival.encode(pictures[0].pixels, rival.qualities[0]))  # so that no clock sees anything being loaded
    samples: list[Sample] = []
    for quality in rival.qualities:
        of_quality = [_sample(rival, picture, quality, similarity) for picture in pictures]
        report(_mean(of_quality))
        samples += of_quality
    return samples


def summarise(samples: Iterable[Sample]) -> list[Point]:
    """One point per quality, in the order in which they were measured."""
    by_quality: dict[float, list[Sample]] = {}
    for sample in samples:
        by_quality.setdefault(sample.quality, []).append(sample)
    return [_mean(group) for group in by_quality.values()]


def _sample(rival: Rival, picture: Picture, quality: float, similarity: bool) -> Sample:
    pixels = picture.pixels
    start = time.perf_counter()
    data = rival.encode(pixels, quality)
    middle = time.perf_counter()
    decoded = rival.decode(data)
    end = time.perf_counter()
    large = min(pixels.shape[:2]) >= SMALLEST_SIDE
    own = rival if isinstance(rival, Measured) else None
    return Sample(
        picture=picture.name,
        quality=quality,
        bytes=len(data),
        pixels=pixels.shape[0] * pixels.shape[1],
        psnr=psnr(pixels, decoded),
        encode_seconds=middle - start,
        decode_seconds=end - middle,
        ms_ssim=ms_ssim(pixels, decoded) if similarity and large else None,
        ideal_bits=own.ideal_bits(pixels, quality) if own else None,
        frame_bytes=own.frame_bytes(data) if own else None,
    )


def _mean(samples: list[Sample]) -> Point:
    similarities = [sample.ms_ssim for sample in samples if sample.ms_ssim is not None]
    ideal = [sample.ideal_bits / sample.pixels for sample in samples if sample.ideal_bits is not None]
    return Point(
        quality=samples[0].quality,
        bpp=fmean(sample.bpp for sample in samples),
        psnr=fmean(sample.psnr for sample in samples),
        ms_ssim=fmean(similarities) if similarities else None,
        bpp_ideal=fmean(ideal) if ideal else None,
        encode_seconds=fmean(sample.encode_seconds for sample in samples),
        decode_seconds=fmean(sample.decode_seconds for sample in samples),
    )
