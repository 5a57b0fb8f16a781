"""Bjøntegaard differences: how far apart two rate-distortion curves are, in one figure.

Bjøntegaard 2001, "Calculation of average PSNR differences between RD-curves" (VCEG-M33), with piecewise cubic Hermite
interpolation (PCHIP) on the logarithm of the rate instead of one cubic, as the field does today; or Akima's, as
Herglotz et al. 2022 ("Beyond Bjøntegaard") propose. A curve is a list of (bpp, PSNR in dB); any other quality that
rises with the rate will do. SciPy comes with the extra `bench`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from ...errors import Unsupported

Curve = Sequence[tuple[float, float]]
Method = Literal["pchip", "akima"]

ENVELOPE_POINTS = 256  # so dense that interpolating between them again adds nothing


class Range(NamedTuple):
    low: float
    high: float


def bd_rate(test: Curve, anchor: Curve, method: Method = "pchip") -> float:
    """Mean difference of rate at equal quality in percent; negative where `test` needs fewer bits.

    The mean is that of the logarithm of the rate over the quality that both curves reach (`psnr_overlap`). Raises
    `Unsupported` if there is none.
    """
    low, high = psnr_overlap(test, anchor)
    areas = [_log_rate(curve, method).integrate(low, high) for curve in (test, anchor)]
    return 100 * math.expm1((areas[0] - areas[1]) / (high - low))


def bd_psnr(test: Curve, anchor: Curve, method: Method = "pchip") -> float:
    """Mean difference of quality at equal rate, in its unit (dB of PSNR); positive where `test` is better.

    The mean is over the logarithm of the rates that both curves reach. Raises `Unsupported` if there are none.
    """
    low, high = _overlap([[math.log(rate) for rate, _ in curve] for curve in (test, anchor)])
    areas = [_psnr(curve, method).integrate(low, high) for curve in (test, anchor)]
    return float(areas[0] - areas[1]) / (high - low)


def psnr_overlap(test: Curve, anchor: Curve) -> Range:
    """The quality that both curves reach, over which `bd_rate` is a mean. Raises `Unsupported` if there is none."""
    return _overlap([[psnr for _, psnr in curve] for curve in (test, anchor)])


def envelope(*curves: Curve) -> Curve:
    """The best of several curves: at each quality the smallest rate of those that reach it."""
    ends = [psnr for curve in curves for _, psnr in curve]
    grid = np.linspace(min(ends), max(ends), ENVELOPE_POINTS)
    log_rates = [_log_rate(curve) for curve in curves]  # NaN beyond a curve's ends
    best = np.nanmin([log_rate(grid) for log_rate in log_rates], axis=0)
    return [(math.exp(log_rate), float(psnr)) for log_rate, psnr in zip(best, grid, strict=True)]


def interpolate(curve: Curve, bpp: float) -> float:
    """Quality of a curve at a rate; NaN beyond its ends."""
    return float(_psnr(curve)(math.log(bpp)))


def _overlap(values: list[list[float]]) -> Range:
    low, high = max(map(min, values)), min(map(max, values))
    if low >= high:
        raise Unsupported(f"the curves do not overlap: one ends at {high:.4g}, the other begins at {low:.4g}")
    return Range(low, high)


def _log_rate(curve: Curve, method: Method = "pchip") -> Any:
    """Natural logarithm of the rate as a function of quality."""
    return _through([(psnr, math.log(rate)) for rate, psnr in curve], method)


def _psnr(curve: Curve, method: Method = "pchip") -> Any:
    """Quality as a function of the natural logarithm of the rate."""
    return _through([(math.log(rate), psnr) for rate, psnr in curve], method)


def _through(points: list[tuple[float, float]], method: Method) -> Any:
    """A piecewise cubic; not a number beyond the ends."""
    from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

    x, y = zip(*sorted(points), strict=True)
    if len(x) < 2 or any(a >= b for a, b in pairwise(x)):
        raise Unsupported("a curve needs two points or more, each with its own rate and its own quality")
    interpolator = {"pchip": PchipInterpolator, "akima": Akima1DInterpolator}[method]
    return interpolator(x, y, extrapolate=False)
