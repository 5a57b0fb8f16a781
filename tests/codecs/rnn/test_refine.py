"""Coefficients that are told with thresholds that fall."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.codecs.rnn.refine import (
    LARGEST,
    OCTAVES,
    THRESHOLDS,
    UNITS,
    Counter,
    Refinement,
    analyse,
    synthesise,
    untaught,
)
from calotype.coding.coder import Decoder, Encoder

SIDE = 4
ALL = np.array([(c, y, x, 0) for c in range(3) for y in range(SIDE) for x in range(SIDE)], np.int16)


@pytest.fixture
def coefficients() -> np.ndarray:
    """Of every size, the largest included; more rows than are worked on at once."""
    found = np.random.default_rng(0).laplace(0, 60, (37, 5, len(ALL)))
    found[0, 0, :2] = LARGEST, -LARGEST
    return found.astype(np.int16)


def expected(coefficients: np.ndarray) -> np.ndarray:
    return np.full(coefficients.shape, 24, np.uint8)


def test_the_decoder_comes_to_know_what_the_encoder_told(coefficients: np.ndarray) -> None:
    told, heard = (Refinement(expected(coefficients), ALL, untaught()) for _ in range(2))
    for threshold in THRESHOLDS:
        coder = Encoder()
        told.code(coder, coefficients)
        heard.code(Decoder(coder.finish()), None)
        np.testing.assert_array_equal(heard.low, told.low)
        np.testing.assert_array_equal(heard.width, told.width)
        size, low = np.abs(coefficients.astype(int)), np.abs(told.low.astype(int))
        plain = low == 0
        assert (size[plain] < threshold).all()
        assert (np.sign(told.low) == np.sign(coefficients))[~plain].all()
        assert (size >= low).all()
        assert (size <= low + told.width)[~plain].all()
        assert told.width.max() <= threshold


def test_logarithms_are_those_of_the_thresholds() -> None:
    np.testing.assert_array_equal(OCTAVES, np.rint(4 * np.log2(THRESHOLDS)))


def test_counted_tables_code_in_fewer_bytes(coefficients: np.ndarray) -> None:
    counter, known = Counter(), Refinement(expected(coefficients), ALL, untaught())
    for _ in range(6):
        known.code(counter, coefficients)
    sizes = []
    for tables in (untaught(), counter.tables()):
        known, sum_of_bytes = Refinement(expected(coefficients), ALL, tables), 0
        for _ in range(6):
            coder = Encoder()
            known.code(coder, coefficients)
            sum_of_bytes += len(coder.finish())
        sizes.append(sum_of_bytes)
    assert sizes[1] < 0.8 * sizes[0]


def test_coefficients_become_the_samples_they_are_of() -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 3, 2 * SIDE, 3 * SIDE)).astype(np.float32)
    coarse = ALL.copy()
    coarse[:, 3] = np.arange(len(ALL)) % 5
    for places in (ALL, coarse):
        found = analyse(samples, SIDE, places)
        assert found.shape == (2, 3, len(ALL))
        back = synthesise(found.astype(np.float32) * np.float32(1 / UNITS), SIDE, places)
        assert np.abs(back - samples).max() < 8 / UNITS
    assert np.abs(analyse(samples, SIDE, coarse)).sum() < np.abs(analyse(samples, SIDE, ALL)).sum()
