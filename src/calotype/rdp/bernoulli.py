"""The closed form for a Bernoulli source with Hamming distortion and total variation (Blau and Michaeli 2019).

Let X be 1 with p <= 1/2, and Y be 1 with r. Both errors together, P(X=0, Y=1) = a and P(X=1, Y=0) = b, make the
distortion D = a + b, and r = p + a - b.

Without a bound on perception the best r is (p - D) / (1 - 2 D), whose distance from p is D (1 - 2 p) / (1 - 2 D): as
long as that is at most P, R = h(p) - h(D). Beyond, r = p - P is best, so b - a = P, and all four probabilities of (X,
Y) are known: R = h(X) + h(Y) - h(X, Y). It is zero from where X and Y are independent, at D = 2 p (1 - p) - (1 - 2 p)
P.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import Unsupported


def bernoulli(p: float, distortion: float, perception: float) -> float:
    """R(D, P) in bits of a Bernoulli source with P(X = 1) = p, under Hamming distortion and total variation.

    Raises
    ------
    Unsupported
        p lies outside 0..1, or a bound below 0.
    """
    if not 0 <= p <= 1 or not distortion >= 0 or not perception >= 0:
        raise Unsupported(f"p = {p}, D = {distortion}, P = {perception}: p lies in 0..1, the bounds are 0 or more")
    p = min(p, 1 - p)
    if distortion >= p and perception >= p:
        return 0.0  # always 0
    if distortion * (1 - 2 * p) <= perception * (1 - 2 * distortion):
        return max(0.0, _entropy([p, 1 - p]) - _entropy([distortion, 1 - distortion]))
    if distortion >= 2 * p * (1 - p) - (1 - 2 * p) * perception:
        return 0.0
    a, b = (distortion - perception) / 2, (distortion + perception) / 2
    r = p - perception
    return _entropy([p, 1 - p]) + _entropy([r, 1 - r]) - _entropy([1 - p - a, a, b, p - b])


def _entropy(probabilities: ArrayLike) -> float:
    """In bits; 0 log 0 is 0."""
    q = np.asarray(probabilities, dtype=np.float64)
    q = q[q > 0]
    return float(-(q * np.log2(q)).sum())
