"""What the second synthesis is told: realism and rate as Fourier features. For NumPy arrays and torch tensors alike.

After Iwai et al. 2024 (CRDR), where the perceptual weight conditions every layer of the decoder. Angles stay within
half a turn for the lowest frequency, so that 0 and 1 have features of their own.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

REALISM_WAVES, RATE_WAVES = 3, 2  # octaves, from a quarter of a turn over the whole range
CONDITIONS = 2 * (REALISM_WAVES + RATE_WAVES)


def condition(realism: Any, rate: Any, library: ModuleType) -> Any:
    """Features (b, CONDITIONS, 1, 1) of realisms and rate positions (b,), both in [0, 1].

    Parameters
    ----------
    library
        `numpy` or `torch`, whichever the arrays are from.
    """
    angles = [realism * (math.pi / 2 * 2**k) for k in range(REALISM_WAVES)]
    angles += [rate * (math.pi / 2 * 2**k) for k in range(RATE_WAVES)]
    turns = library.stack(angles, -1)
    return library.concatenate([library.sin(turns), library.cos(turns)], -1)[:, :, None, None]
