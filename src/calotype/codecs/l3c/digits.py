"""Samples to levels (see `samples.py`), and which samples levels tell exactly. For NumPy and PyTorch alike.

Green has two digits, fine and coarse. Red and blue, counted from where green's correction moves them, have a fine
digit each and share one level for their coarse ones. What lies further off stays inexact, and is coded again at the
next finer scale. Green only does so where interpolation overshoots far between saturated pixels; red says it then.
"""

from __future__ import annotations

from typing import Any

from .units import BLUE_DIGITS, COARSE_DIGIT, COLOUR_MAX, LEVEL_MAX, VALUE_MAX, VALUE_UNIT

_COARSE_MAX = BLUE_DIGITS // 2
REACH = _COARSE_MAX * COARSE_DIGIT + LEVEL_MAX  # grey values that red and blue can be corrected by
_GREEN_REACH = LEVEL_MAX * COARSE_DIGIT + LEVEL_MAX


def nearest_colours(values: Any) -> Any:
    """Values (see `samples.py`) to the whole colours closest to them."""
    return (values + (VALUE_MAX + VALUE_UNIT / 2)) // VALUE_UNIT


def digits_of(samples: Any, expected: Any) -> list[Any]:
    """Samples and what is expected of them, three planes of whole colours each -> five planes of levels."""
    (r, g, b), (red, green, blue) = samples, expected
    beyond = abs(g - green) > _GREEN_REACH
    moved = (g - green).clip(-_GREEN_REACH, _GREEN_REACH)
    coarse = (moved + LEVEL_MAX) // COARSE_DIGIT
    fine, coarser = [], []
    for colour, base in ((r, red), (b, blue)):
        missing = colour - (base + moved).clip(0, COLOUR_MAX)
        coarser.append(((missing + LEVEL_MAX) // COARSE_DIGIT).clip(-_COARSE_MAX, _COARSE_MAX))
        fine.append((missing - COARSE_DIGIT * coarser[-1]).clip(-LEVEL_MAX, LEVEL_MAX))
    fine[0] = fine[0] * ~beyond + LEVEL_MAX * beyond
    coarser[0] = coarser[0] * ~beyond + _COARSE_MAX * beyond
    return [fine[0], moved - COARSE_DIGIT * coarse, fine[1], coarse, BLUE_DIGITS * coarser[0] + coarser[1]]


def samples_of(levels: Any, expected: Any) -> list[Any]:
    """The inverse of `digits_of`: five planes of levels -> three planes of whole colours."""
    red, green, blue, coarse, both = levels
    moved = green + COARSE_DIGIT * coarse
    coarse_red = (both + _COARSE_MAX) // BLUE_DIGITS
    corrections = (red + COARSE_DIGIT * coarse_red, 0, blue + COARSE_DIGIT * (both - BLUE_DIGITS * coarse_red))
    return [
        ((base + moved).clip(0, COLOUR_MAX) + correction).clip(0, COLOUR_MAX)
        for base, correction in zip(expected, corrections, strict=True)
    ]


def are_exact(levels: Any) -> Any:
    """Whether five planes of levels tell their samples exactly; a boolean mask. False where they just may."""
    red, _, blue, _, both = levels
    coarse_red = (both + _COARSE_MAX) // BLUE_DIGITS
    reached = [abs(red + COARSE_DIGIT * coarse_red), abs(blue + COARSE_DIGIT * (both - BLUE_DIGITS * coarse_red))]
    return (reached[0] < REACH) & (reached[1] < REACH)
