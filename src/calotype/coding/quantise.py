"""Probabilities to integer frequencies, with the least possible loss of code length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def quantise(pmf: Floats, total: int) -> npt.NDArray[np.int64]:
    """Return frequencies >= 1 with sum `total` that minimise the cross entropy -sum(pmf * log2(f / total)).

    The cost is convex in each frequency and they are tied by their sum alone, so frequencies are optimal
    exactly when no single unit is better placed elsewhere. `pmf` (n,) need not sum to one; its zeros get 1.

    Raises
    ------
    ValueError
        More symbols than `total`, or not a probability mass function.
    """
    if pmf.ndim != 1 or not 1 <= pmf.size <= total:
        raise ValueError(f"a table has 1 to {total} entries, not {pmf.shape}")
    if not np.isfinite(pmf).all() or (pmf < 0).any() or pmf.sum() <= 0:
        raise ValueError("probabilities must be finite, not negative and not all zero")
    frequencies = np.maximum(1, np.floor(_share(pmf, total))).astype(np.int64)
    spare = total - int(frequencies.sum())
    frequencies[np.argsort(-_gain(pmf, frequencies), kind="stable")[:spare]] += 1
    return _exchange(pmf, frequencies)


def _share(pmf: Floats, total: int) -> Floats:
    """Real-valued frequencies: 1 for the rarest symbols, the others in proportion; their sum is `total`."""
    rare = np.zeros(pmf.shape, dtype=bool)
    while True:
        scale = (total - np.count_nonzero(rare)) / pmf[~rare].sum()
        found = ~rare & (pmf * scale < 1)
        if not found.any() or (rare | found).all():
            return np.where(rare, 1.0, pmf * scale)
        rare |= found


def _gain(pmf: Floats, frequencies: npt.NDArray[np.int64]) -> Floats:
    """What a unit more saves, in nats."""
    return pmf * np.log1p(1 / frequencies)


def _loss(pmf: Floats, frequencies: npt.NDArray[np.int64]) -> Floats:
    """What a unit less costs, in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(frequencies > 1, -pmf * np.log1p(-1 / frequencies), np.inf)


def _exchange(pmf: Floats, frequencies: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Move units between symbols while that saves anything."""
    gain, loss = _gain(pmf, frequencies), _loss(pmf, frequencies)
    while True:
        taker, giver = int(np.argmax(gain)), int(np.argmin(loss))
        if gain[taker] <= loss[giver] * (1 + 1e-9):
            return frequencies
        frequencies[taker] += 1
        frequencies[giver] -= 1
        both = [taker, giver]
        gain[both], loss[both] = _gain(pmf[both], frequencies[both]), _loss(pmf[both], frequencies[both])
