"""Search for the quality whose file is as large as allowed: real files, no estimates."""

from __future__ import annotations

import math
from collections.abc import Callable

from .errors import Unsupported

MAX_ENCODES = 12
CLOSE_ENOUGH = 0.998  # of the target; a further encode would win less than its time is worth
_SLOPE = (
    0.04  # ln(bytes) per step of quality in a usual model: 0.05 to 2.5 bpp over 100 steps; only a first guess
)


def largest_within(encode: Callable[[float], bytes], target: int) -> bytes:
    """Largest file that `encode(quality)` gives of at most `target` bytes, in at most 12 encodes.

    Size is taken to grow with quality: a bracket shrinks by interpolation of its logarithm, and bisection
    steps between so that it shrinks for any curve. Where it does not grow everywhere, the file may be smaller
    than the best, never larger than the target.

    Raises
    ------
    Unsupported
        Not even quality 0 is small enough; the message says its size.
    """
    low, high = 0.0, 100.0
    low_size: int | None = None
    high_size: int | None = None
    best: bytes | None = None
    for attempt in range(MAX_ENCODES):
        if attempt == MAX_ENCODES - 1 and best is None:
            quality = 0.0
        else:
            quality = _next(low, low_size, high, high_size, target, attempt)
        data = encode(quality)
        if len(data) <= target:
            low, low_size = quality, len(data)
            best = data if best is None or len(data) > len(best) else best
        elif quality == 0:
            raise Unsupported(f"the smallest file of this model has {len(data):,} bytes, above {target:,}")
        else:
            high, high_size = quality, len(data)
        if best is not None and (low == 100 or len(best) >= CLOSE_ENOUGH * target or high - low < 0.01):
            break
    assert best is not None  # the last attempt was quality 0
    return best


def _next(
    low: float, low_size: int | None, high: float, high_size: int | None, target: int, attempt: int
) -> float:
    if low_size is None and high_size is None:
        return 50.0
    if low_size is None or high_size is None:  # an end is uncoded: extrapolate, then go there
        end, known, size = (low, high, high_size) if low_size is None else (high, low, low_size)
        guess = known + math.log(target / (size or 1)) / _SLOPE
        return end if attempt >= 2 else min(max(guess, 0.0), 100.0)
    if attempt % 3 == 2 or low_size == high_size:
        return (low + high) / 2
    part = math.log(target / low_size) / math.log(high_size / low_size)
    return low + (high - low) * min(max(part, 0.02), 0.98)
