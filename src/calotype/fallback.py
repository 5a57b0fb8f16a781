"""Images that a lossy model is not for: screens, text, dithers, narrow strips.

A transform made for photographs spends more on them than a lossless codec does, and still blurs them. So where the
default model is taken, such an image becomes a lossless file if that is smaller (of a screen, little larger), or if the
lossy one would miss a floor of quality. Photographs are not touched: telling them apart is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from .coding.screen import repeats_itself
from .image import Image, psnr

NARROW = 32  # pixels: below, padding costs more than the image
PLAIN = 8  # times that what is no photo shrinks by copying alone; photographs hardly do
SMALLER = 4  # times that a lossless codec gets below plain copying on what repeats itself
LITTLE = 1.25  # times as large: what a screen without any loss is worth
USUAL = 50.0  # quality, about what models take as their default
FLOOR, SLOPE = 22.0, 0.14  # dB at quality 0, and more per step: about 4 dB below what photographs have


class Fallback:
    """The lossless file of one image, made if it may be wanted."""

    def __init__(self, image: Image, encode: Callable[[], bytes]) -> None:
        self._image, self._encode = image, encode

    @cached_property
    def _data(self) -> bytes:
        return self._encode()

    def instead_of(self, data: bytes, quality: float | None, decode: Callable[[], Image]) -> bytes:
        """The lossy file of that quality, or the lossless one; `decode` gives what the lossy file shows."""
        if not self._may_have(SMALLER * len(data)):
            return data
        if len(self._data) <= len(data):
            return self._data
        if not self._is_screen:
            return data
        floor = FLOOR + SLOPE * (USUAL if quality is None else quality)
        better = len(self._data) <= LITTLE * len(data) or psnr(self._image, decode()) < floor
        return self._data if better else data

    def within(self, limit: int) -> bytes | None:
        """The lossless file, if it has at most `limit` bytes."""
        return self._data if self._may_have(SMALLER * limit) and len(self._data) <= limit else None

    def _may_have(self, size: int) -> bool:
        """Whether it is worth a try that a lossless file has less than `size` bytes."""
        pixels = self._image.pixels
        return min(pixels.shape[-3:-1]) < NARROW or repeats_itself(pixels, max(size, pixels.nbytes // PLAIN))

    @cached_property
    def _is_screen(self) -> bool:
        return repeats_itself(self._image.pixels, self._image.pixels.nbytes // PLAIN)
