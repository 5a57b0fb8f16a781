"""Rate-distortion optimised quantisation: each symbol is the better of its two candidates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from calotype.coding import Tables
from calotype.coding.rdoq import Targets, nearest, rdoq

SYMBOL_MAX = 20

Residuals = tuple[npt.NDArray[np.float32], Tables, npt.NDArray[np.int32]]


@pytest.fixture(scope="module")
def residuals() -> Residuals:
    """Values, some of them ties, and the table of each: narrow and wide ones."""
    rng = np.random.default_rng(3)
    index = rng.integers(0, 3, (6, 20, 30)).astype(np.int32)
    x = rng.laplace(size=index.shape) * np.array([0.3, 1.0, 5.0])[index]
    x[..., :4] = np.round(2 * x[..., :4]) / 2
    return x.astype(np.float32), Tables.gaussian([0.3, 1.0, 5.0]), index


def test_without_worth_bits_do_not_move_symbols(residuals: Residuals) -> None:
    x, tables, index = residuals
    targets = Targets(x, np.zeros((6, 1, 1), np.float32), SYMBOL_MAX)
    np.testing.assert_array_equal(rdoq(targets, tables, index), nearest(x, SYMBOL_MAX))


def test_symbols_are_the_better_of_two_candidates(residuals: Residuals) -> None:
    x, tables, index = residuals
    worth = np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1.0], np.float32)[:, None, None]
    symbols = rdoq(Targets(x, worth, SYMBOL_MAX), tables, index)
    rounded = nearest(x, SYMBOL_MAX)
    candidates = np.stack([rounded, rounded - np.sign(rounded)])
    costs = np.stack([(x - q) ** 2 + worth * tables.bits(q, index) for q in candidates])
    chosen = (x - symbols) ** 2 + worth * tables.bits(symbols, index)
    np.testing.assert_array_equal(chosen, costs.min(0))
    assert tables.bits(symbols, index).sum() < 0.9 * tables.bits(rounded, index).sum()
