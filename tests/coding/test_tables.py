"""Frequency tables: near-optimal rounding, strict validation."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.coding import PRECISION, Tables
from calotype.coding.quantise import quantise
from calotype.errors import CorruptFile

TOTAL = 1 << PRECISION
SIGMAS = np.geomspace(0.11, 64, 64)  # Ballé et al. 2018: scale table of the hyperprior, up to 64 here


def frequencies_of(tables: Tables, t: int) -> np.ndarray:
    ends = np.cumsum(tables.lengths + 1)
    return tables.frequencies[ends[t] - tables.lengths[t] - 1 : ends[t]].astype(int)


def gaussian_pmf(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Exact probabilities of round(N(0, sigma)) far into the tails."""
    k = np.arange(-int(12 * sigma) - 3, int(12 * sigma) + 4)
    scale = 1 / (sigma * math.sqrt(2))
    edges = np.array([math.erfc((abs(v) - 0.5) * scale) - math.erfc((abs(v) + 0.5) * scale) for v in k]) / 2
    edges[k == 0] = 1 - math.erfc(0.5 * scale)
    return k, edges


@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=60).filter(lambda w: sum(w) > 1e-3),
    total=st.sampled_from([64, 100, TOTAL]),
)
def test_rounding_is_optimal_to_a_unit(weights: list[float], total: int) -> None:
    pmf = np.array(weights) / sum(weights)
    frequencies = quantise(pmf, total)
    assert frequencies.min() >= 1
    assert frequencies.sum() == total
    gain = pmf * np.log1p(1 / frequencies)
    movable = frequencies > 1
    loss = -pmf[movable] * np.log1p(-1 / frequencies[movable])
    if movable.any():
        assert gain.max() <= loss.min() * (1 + 1e-6) + 1e-300


@pytest.mark.parametrize("pmf", [[], [0.0, 0.0], [-0.1, 1.1], [math.nan, 1.0], [math.inf], [1.0] * (TOTAL + 1)])
def test_rounding_refuses_what_is_no_distribution(pmf: list[float]) -> None:
    with pytest.raises(ValueError):
        quantise(np.array(pmf), TOTAL)


def test_missing_mass_goes_to_the_escape() -> None:
    tables = Tables.from_pmfs([np.array([0.25, 0.25]), np.array([1.0])], [-1, 7])
    np.testing.assert_array_equal(frequencies_of(tables, 0), [TOTAL // 4, TOTAL // 4, TOTAL // 2])
    np.testing.assert_array_equal(frequencies_of(tables, 1), [TOTAL - 1, 1])
    np.testing.assert_array_equal(tables.bits(np.array([-1, 0, 5]), np.array([0, 0, 0])), [2, 2, 1 + 8])


def test_gaussian_tables_cost_less_than_the_promised_overhead() -> None:
    """0.15 % is the promise; the ideal is the entropy of the exact discretised Gaussian."""
    tables = Tables.gaussian(SIGMAS)
    ideal, coded = 0.0, 0.0
    for t, sigma in enumerate(SIGMAS):
        k, pmf = gaussian_pmf(sigma)
        ideal -= (pmf[pmf > 0] * np.log2(pmf[pmf > 0])).sum()
        coded += (pmf * tables.bits(k, np.full(k.shape, t))).sum()
    assert ideal < coded < 1.0015 * ideal


def test_bits_of_escapes_count_their_bytes() -> None:
    tables = Tables.from_pmfs([np.full(4, 1 / 8)], [10])
    symbols = np.array([[10, 13, 14], [9, 14 + 64, 2**31 - 1]])
    expected = np.array([[3, 3, 1 + 8], [1 + 8, 1 + 16, 1 + 40]])
    np.testing.assert_array_equal(tables.bits(symbols, np.zeros_like(symbols)), expected)


def test_arrays_round_trip_and_pickle() -> None:
    tables = Tables.gaussian([0.5, 3.0])
    arrays = tables.to_arrays()
    assert [array.dtype for array in arrays.values()] == [np.uint16, np.int32, np.int32]
    for again in (Tables.from_arrays(arrays), pickle.loads(pickle.dumps(tables))):
        assert len(again) == 2
        for name, array in arrays.items():
            np.testing.assert_array_equal(again.to_arrays()[name], array)


def arrays(
    frequencies: Sequence[int] = (TOTAL - 2, 1, 1), lengths: Sequence[int] = (2,), minimums: Sequence[int] = (-1,)
) -> dict[str, np.ndarray]:
    return {
        "frequencies": np.array(frequencies, np.uint16),
        "lengths": np.array(lengths, np.int32),
        "minimums": np.array(minimums, np.int32),
    }


@pytest.mark.parametrize(
    "bad",
    [
        {},
        arrays(frequencies=(TOTAL - 1, 1, 1)),
        arrays(frequencies=(TOTAL - 1, 1, 0)),
        arrays(frequencies=(TOTAL - 2, 1)),
        arrays(frequencies=(TOTAL - 2, 1, 1, 1)),
        arrays(frequencies=(8192, 8191, 1, 8192, 8193, 1), lengths=(2, 2), minimums=(0, 0)),
        arrays(lengths=(0,)),
        arrays(lengths=(-1,)),
        arrays(lengths=(2**31 - 1,)),
        arrays(lengths=(2, 2)),
        arrays(minimums=()),
        arrays(minimums=(2**31 - 1,)),
        arrays(frequencies=(), lengths=(-1,), minimums=(0,)),
        {**arrays(), "frequencies": np.array([[TOTAL - 2, 1, 1]], np.uint16)},
        {**arrays(), "frequencies": np.array([TOTAL - 2, 1, 1], np.int64)},
        {**arrays(), "minimums": np.array([0.5])},
    ],
)
def test_what_is_no_set_of_tables_is_refused(bad: dict[str, np.ndarray]) -> None:
    with pytest.raises(CorruptFile):
        Tables.from_arrays(bad)


@given(data=st.data())
def test_random_arrays_are_tables_or_refused(data: st.DataObject) -> None:
    frequencies = st.lists(st.sampled_from([0, 1, 8191, 8192, 16383, 65535]), max_size=8)
    given_arrays = arrays(
        data.draw(frequencies),
        data.draw(st.lists(st.integers(-2, 5), max_size=4)),
        data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4)),
    )
    try:
        tables = Tables.from_arrays(given_arrays)
    except CorruptFile:
        return
    assert tables.kernel is not None


def test_the_largest_symbols_fit() -> None:
    tables = Tables.from_arrays(arrays(minimums=(2**31 - 2,)))
    assert tables.bits(np.array([2**31 - 1]), np.array([0]))[0] == PRECISION
