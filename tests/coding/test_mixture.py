"""Mixtures of logistics: the kernel against docs/reference/mixtures.md in NumPy, and exact distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.coding import BitCounter, Decoder, Encoder, Mixture, Tables, crc32c
from calotype.coding.mixture import logistic_table, scale_steps
from calotype.coding.units import SCALES
from calotype.errors import CorruptFile, Desync

Call = tuple[np.ndarray, Mixture | Tables, np.ndarray]  # symbols, model, its parameters


def random_parameters(
    rng: np.random.Generator, mixture: Mixture, shape: Sequence[int], spread: int = 64 * 6
) -> np.ndarray:
    """Mixtures around a place of their own, from needles to nearly flat."""
    k = mixture.components
    middle = rng.integers(0, 64 * mixture.symbols, (1, *shape))
    location = middle + rng.integers(-spread, spread + 1, (k, *shape))
    weight = rng.integers(0, 65536, (k, *shape)) >> rng.integers(0, 17, (k, *shape))
    weight[0] += weight.sum(0) == 0
    return np.stack([location, rng.integers(0, SCALES, (k, *shape)), weight]).astype(np.int32)


def exact_pmf(mixture: Mixture, parameters: np.ndarray) -> np.ndarray:
    """(n, symbols) probabilities of flat parameters in floating point."""
    location, scale, weight = parameters.astype(float)
    edges = np.arange(mixture.symbols + 1) - 0.5
    argument = (edges - location[..., None] / 64) / 2 ** (scale[..., None] / 8 - 3)
    below = 1 / (1 + np.exp(-np.clip(argument, -700, 700)))
    below = ((weight / weight.sum(0))[..., None] * below).sum(0)
    below[:, 0], below[:, -1] = 0, 1
    return np.diff(below, axis=-1)


def sums_below(mixture: Mixture, parameters: np.ndarray) -> np.ndarray:
    """(n, symbols + 1) sums of the frequencies before each symbol of flat parameters: the specification."""
    location, scale, weight = parameters.astype(np.int64)
    step = scale_steps().astype(np.int64)[scale]
    argument = np.clip(-((location + 32) * step >> 6), -(2**30), 2**30)
    w = weight * (2**30 // weight.sum(0)) >> 16
    w[0] = 2**14 - w[1:].sum(0)
    at = np.arange(mixture.symbols + 1)
    entry = np.clip(argument[..., None] + at * step[..., None] >> 9, -4096, 4095) + 4096
    mixed = (w[..., None] * logistic_table().astype(np.int64)[entry]).sum(0) + 2**29 >> 14
    below = at + (mixed * (2**16 - mixture.symbols) >> 16)
    below[:, 0], below[:, -1] = 0, 2**16
    return below


def draw(rng: np.random.Generator, mixture: Mixture, parameters: np.ndarray) -> np.ndarray:
    """Symbols with the distributions of the parameters."""
    flat = parameters.reshape(3, mixture.components, -1)
    below = sums_below(mixture, flat)
    slots = rng.integers(0, 2**16, len(below))
    symbols = (below <= slots[:, None]).sum(1) - 1
    return symbols.reshape(parameters.shape[2:]).astype(np.int32)


def encode(calls: Sequence[Call]) -> bytes:
    encoder = Encoder()
    for symbols, model, parameters in calls:
        np.testing.assert_array_equal(encoder.code(symbols, model, parameters), symbols)
    return encoder.finish()


def decode(data: bytes, mixture: Mixture, parameters: np.ndarray) -> np.ndarray:
    decoder = Decoder(data)
    symbols = decoder.code(None, mixture, parameters)
    decoder.finish()
    return symbols


def assert_round_trip(calls: Sequence[Call]) -> bytes:
    data = encode(calls)
    decoder = Decoder(data)
    for symbols, model, parameters in calls:
        np.testing.assert_array_equal(decoder.code(None, model, parameters), symbols)
    decoder.finish()
    return data


def test_logistic_table_is_the_correctly_rounded_one() -> None:
    table = logistic_table()
    assert (np.diff(table.astype(int)) >= 0).all()
    with localcontext() as context:
        context.prec = 40
        for i in [*range(0, 8192, 97), 4095, 4096, 8191]:
            exact = 2**16 / (1 + (-(Decimal(2 * i - 8191) / 512)).exp())
            assert table[i] == math.floor(exact) - 2**15


def test_scales_are_eighths_of_an_octave() -> None:
    exact = 2.0 ** (20 - np.arange(SCALES) / 8)
    assert np.abs(scale_steps() - exact).max() <= 1
    assert scale_steps()[[0, 24]].tolist() == [2**20, 2**17]  # an eighth of a symbol, and a symbol


@pytest.mark.parametrize("symbols", [2, 3, 25, 256, 511, 1024])
@pytest.mark.parametrize("components", [1, 2, 5, 10])
def test_frequencies_are_those_of_the_specification(symbols: int, components: int) -> None:
    rng = np.random.default_rng(symbols * components)
    mixture = Mixture(symbols, components)
    parameters = random_parameters(rng, mixture, (300,))
    parameters[0, 0, :4] = [-(2**31), 2**31 - 1, -(2**31), 2**31 - 1]
    below = sums_below(mixture, parameters)
    assert (np.diff(below) >= 1).all()
    given_symbols = rng.integers(0, symbols, 300)
    given_symbols[:2], given_symbols[2:4] = 0, symbols - 1
    _, places, escapes = mixture.locate(given_symbols.astype(np.int32), parameters)
    each = np.arange(300)
    np.testing.assert_array_equal(places & 0xFFFF, below[each, given_symbols])
    np.testing.assert_array_equal(places >> 16, np.diff(below)[each, given_symbols])
    assert escapes == b""


@given(
    seed=st.integers(0, 2**32),
    kinds=st.lists(st.tuples(st.integers(2, 1024), st.integers(1, 10)), min_size=1, max_size=3),
    shapes=st.lists(st.lists(st.integers(0, 20), max_size=3), max_size=5),
)
def test_round_trip(seed: int, kinds: list[tuple[int, int]], shapes: list[list[int]]) -> None:
    rng = np.random.default_rng(seed)
    calls = []
    for k, shape in enumerate(shapes):
        mixture = Mixture(*kinds[k % len(kinds)])
        parameters = random_parameters(rng, mixture, shape)
        calls.append((rng.integers(0, mixture.symbols, shape).astype(np.int32), mixture, parameters))
    assert_round_trip(calls)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 4097, 60_000])
def test_lanes_and_tables_share_a_stream(n: int) -> None:
    """Mixtures and tables take turns; a decoder from the specification reads the same."""
    rng = np.random.default_rng(n)
    mixture, tables = Mixture(256, 3), Tables.gaussian([1.0, 20.0])
    parameters = random_parameters(rng, mixture, (n,))
    symbols = draw(rng, mixture, parameters)
    index = rng.integers(0, 2, 11)
    residuals = np.rint(rng.standard_normal(11)).astype(np.int32)
    cut = n // 2
    calls: list[Call] = [
        (symbols[:cut], mixture, parameters[:, :, :cut]),
        (residuals, tables, index),
        (symbols[cut:], mixture, parameters[:, :, cut:]),
    ]
    data = assert_round_trip(calls)
    assert data[0] == (1 if n > 50_000 else 0)  # both layouts are met, and no escapes
    if n > 5000:
        return
    x, position = int.from_bytes(data[1:5], "little"), 5
    below = sums_below(mixture, parameters)
    for i in range(cut):
        slot = x % 2**16
        symbol = int((below[i] <= slot).sum()) - 1
        assert symbol == symbols[i]
        x = int(below[i][symbol + 1] - below[i][symbol]) * (x // 2**16) + slot - int(below[i][symbol])
        if x < 2**16:
            x = x * 2**16 + int.from_bytes(data[position : position + 2], "little")
            position += 2


def test_code_lengths_are_near_those_of_exact_distributions() -> None:
    rng = np.random.default_rng(0)
    mixture = Mixture(256, 5)
    n = 40_000
    parameters = random_parameters(rng, mixture, (n,))
    parameters[1] = rng.integers(10, 70, (5, n))  # 0.3 to 54 symbols
    pmf = exact_pmf(mixture, parameters)
    symbols = np.minimum((pmf.cumsum(1) < rng.random((n, 1))).sum(1), 255).astype(np.int32)
    ideal = -np.log2(pmf[np.arange(n), symbols]).sum()
    counter = BitCounter()
    counter.code(symbols, mixture, parameters)
    assert counter.bits == pytest.approx(mixture.bits(symbols, parameters).sum())
    assert 0 < counter.bits / ideal - 1 < 0.001  # of which every symbol's own frequency takes most
    size = 8 * len(encode([(symbols, mixture, parameters)]))
    assert abs(size / counter.bits - 1) < 0.002
    assert abs(size / 8 - counter.bytes) < 0.002 * size / 8


def test_the_wire_is_frozen() -> None:
    """Bytes of a stream written by the first version; a change here breaks every file."""
    mixture = Mixture(256, 2)
    y = np.arange(40_000)
    location = np.stack([y % 256 * 64, (y * 7) % 256 * 64 + 5])
    parameters = np.stack([location, np.stack([y % 96, 40 + y % 20]), np.stack([y % 5, 1 + y % 3])]).astype(np.int32)
    symbols = (y * y // 3 % 256).astype(np.int32)
    data = assert_round_trip([(symbols, mixture, parameters)])
    assert (data[0], len(data), crc32c(data)) == (1, 57073, 2594078846)


def test_impossible_mixtures_are_refused() -> None:
    for symbols, components in [(1, 1), (1025, 1), (256, 0), (256, 11)]:
        with pytest.raises(ValueError, match="no mixtures"):
            Mixture(symbols, components)


@pytest.mark.parametrize("where", [0, 3, 8, 20])
@pytest.mark.parametrize(("entry", "values"), [(1, [-1, SCALES]), (2, [-1, 65536])])
def test_parameters_out_of_range_are_refused(where: int, entry: int, values: list[int]) -> None:
    mixture = Mixture(16, 2)
    symbols = np.zeros(21, np.int32)
    parameters = random_parameters(np.random.default_rng(0), mixture, (21,))
    data = encode([(symbols, mixture, parameters)])
    for value in values:
        wrong = parameters.copy()
        wrong[entry, 1, where] = value
        with pytest.raises(ValueError, match="out of range"):
            Encoder().code(symbols, mixture, wrong)
        with pytest.raises(CorruptFile):
            Decoder(data).code(None, mixture, wrong)
    wrong = parameters.copy()
    wrong[2, :, where] = 0  # no weight at all
    with pytest.raises(ValueError, match="out of range"):
        BitCounter().code(symbols, mixture, wrong)


@pytest.mark.parametrize("symbol", [-1, 16])
def test_symbols_outside_the_alphabet_are_refused(symbol: int) -> None:
    mixture = Mixture(16, 1)
    parameters = random_parameters(np.random.default_rng(0), mixture, (9,))
    for where in (0, 8):
        symbols = np.zeros(9, np.int32)
        symbols[where] = symbol
        with pytest.raises(ValueError, match=r"outside 0 \.\. 15"):
            Encoder().code(symbols, mixture, parameters)


def test_shapes_must_agree() -> None:
    mixture = Mixture(16, 2)
    parameters = random_parameters(np.random.default_rng(0), mixture, (4, 5))
    for wrong in (parameters[:, :1], parameters[:2], parameters[:, :, :3]):
        with pytest.raises(ValueError, match="shape"):
            Encoder().code(np.zeros((4, 5), np.int32), mixture, wrong)
    with pytest.raises(ValueError, match="shape"):
        Decoder(b"").code(None, mixture, parameters[0])


@pytest.mark.parametrize("n", [30, 30_000])
def test_every_truncation_is_noticed(n: int) -> None:
    rng = np.random.default_rng(n)
    mixture = Mixture(256, 4)
    parameters = random_parameters(rng, mixture, (n,))
    data = encode([(draw(rng, mixture, parameters), mixture, parameters)])
    lengths = range(len(data)) if n < 1000 else rng.integers(0, len(data), 100).tolist()
    for length in lengths:
        with pytest.raises((CorruptFile, Desync)):
            decode(data[:length], mixture, parameters)
