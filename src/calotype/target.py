"""Search for the quality whose file is as large as allowed, or good enough: real files, no estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import Unsupported

MAX_ENCODES = 12
CLOSE_ENOUGH = 0.998  # of the target; a further encode would win less than its time is worth
_NARROW = 0.01  # in quality
_NEAR = 0.02  # dB: a further encode would win less than its time is worth
_PER_DECIBEL = 0.27  # the bracket's unit, ln(bytes), per dB: 15 dB on 100 steps of quality
_SLOPE = 0.04  # ln(bytes) per step of quality where 100 steps span 0.05 to 2.5 bpp; only a first guess


def largest_within(encode: Callable[[float], bytes], target: int) -> bytes:
    """Largest file that `encode(quality)` gives of at most `target` bytes, in at most 12 encodes.

    Size is taken to grow with quality. Where it does not grow everywhere, the file may be smaller than the best,
    never larger than the target.

    Raises
    ------
    Unsupported
        Not even quality 0 is small enough; the message says its size.
    """
    bracket = _Bracket()
    best = b""
    for left in reversed(range(MAX_ENCODES)):
        quality = bracket.next() if left or best else 0.0
        data = encode(quality)
        if len(data) > target and quality == 0:
            raise _too_large(data, target)
        if len(best) < len(data) <= target:
            best = data
        bracket.narrow(quality, math.log(len(data) / target))
        if best and (bracket.done or len(best) >= CLOSE_ENOUGH * target):
            break
    return best


def smallest_reaching(encode: Callable[[float], tuple[bytes, float]], target: float) -> bytes:
    """Smallest file that `encode(quality)` gives, with its PSNR, of at least `target` dB, in at most 12 encodes.

    PSNR is taken to grow with quality. Where it does not grow everywhere, the file may be larger than the smallest,
    never worse than the target.

    Raises
    ------
    Unsupported
        Not even quality 100 is good enough; the message says how good it is.
    """
    bracket = _Bracket()
    best = b""
    for left in reversed(range(MAX_ENCODES)):
        quality = bracket.next() if left or best else 100.0
        data, psnr = encode(quality)
        if psnr < target and quality == 100:
            raise _too_poor(psnr, target)
        if psnr >= target and (not best or len(data) < len(best)):
            best = data
        bracket.narrow(quality, (min(psnr, 100.0) - target) * _PER_DECIBEL)
        if best and (bracket.done or (bracket.high_error is not None and 0 <= psnr - target < _NEAR)):
            break
        if bracket.high == 0:  # quality 0 is more than good enough
            break
    return best


def largest_of(files: Iterable[bytes], target: int) -> bytes:
    """The first of some files, from the largest to the smallest, of at most `target` bytes. Raises as the search."""
    data = b""
    for data in files:
        if len(data) <= target:
            return data
    raise _too_large(data, target)


def first_reaching(files: Iterable[tuple[bytes, float]], target: float) -> bytes:
    """The first of some files with their PSNR, from the poorest to the best, of at least `target` dB. Raises alike."""
    psnr = 0.0
    for data, psnr in files:
        if psnr >= target:
            return data
    raise _too_poor(psnr, target)


def _too_large(smallest: bytes, target: int) -> Unsupported:
    return Unsupported(f"the smallest file of this model has {len(smallest):,} bytes, above {target:,}")


def _too_poor(psnr: float, target: float) -> Unsupported:
    return Unsupported(f"the best file of this model has {psnr:.2f} dB, below {target:g}; take a lossless model")


@dataclass
class _Bracket:
    """Qualities around the root of `error = ln(bytes / target)`, found by the Illinois method.

    That is interpolation between the ends, with the error of an end halved when it has stayed while the other one
    moved twice: Dowell and Jarratt 1971, "A modified regula falsi method".
    """

    low: float = 0.0
    high: float = 100.0
    low_error: float | None = None
    """At most 0; None while this end has not been coded."""
    high_error: float | None = None
    moved_low: bool | None = None

    @property
    def done(self) -> bool:
        return self.low == 100 or self.high - self.low < _NARROW

    def next(self) -> float:
        if self.low_error is None and self.high_error is None:
            return 50.0
        if self.low_error is None:  # a guess, with the end of the range as the second one
            assert self.high_error is not None
            return 0.0 if self.high < 50 else max(self.high - 1.2 * self.high_error / _SLOPE, 0.0)
        if self.high_error is None:
            return 100.0 if self.low > 50 else min(self.low - 1.2 * self.low_error / _SLOPE, 100.0)
        span = self.high - self.low
        part = -self.low_error / (self.high_error - self.low_error)
        return self.low + span * min(max(part, 0.01), 0.99)

    def narrow(self, quality: float, error: float) -> None:
        if error <= 0:
            self.low, self.low_error = quality, error
            if self.moved_low and self.high_error is not None:
                self.high_error /= 2
            self.moved_low = True
        else:
            self.high, self.high_error = quality, error
            if self.moved_low is False and self.low_error is not None:
                self.low_error /= 2
            self.moved_low = False
