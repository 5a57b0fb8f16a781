"""Adaptive tables: what comes back, what it costs, and a second implementation from docs/reference/adaptive.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.coding import BitCounter, Decoder, Encoder
from calotype.coding.adaptive import Adaptive, Part, portable
from calotype.coding.fitting import Coded, fit
from calotype.coding.rdoq import Targets, nearest
from calotype.errors import CorruptFile, Desync

CHANNELS, INDICES = 6, 32
SIGMAS = np.geomspace(0.11, 20, INDICES)
Integers = npt.NDArray[np.int32]
Float = np.float32


def parts_of(side: int) -> list[tuple[Part, ...]]:
    """Two calls that code everything: with cells, halves of the channels in turn at each place."""
    if side == 1:
        return [(Part(0, 2),), (Part(2, CHANNELS - 2),)]
    half = CHANNELS // 2
    places = [(row, column) for row in (0, 1) for column in (0, 1)]
    return [
        tuple(Part(half * ((number + call) % 2), half, *place) for number, place in enumerate(places))
        for call in (0, 1)
    ]


def latents(seed: int, side: int, rows: int, columns: int, wild: bool = False) -> list[Coded]:
    """Symbols whose true width differs from the predicted one in patches, alike in all channels; signs in runs."""
    rng = np.random.default_rng(seed)
    patches = np.kron(rng.normal(0, 0.8, (-(-rows // 4), -(-columns // 4))), np.ones((4, 4)))[:rows, :columns]
    leaning = np.kron(rng.choice([-0.8, 0.8], (-(-rows // 4), -(-columns // 4))), np.ones((4, 4)))[:rows, :columns]
    calls = []
    for parts in parts_of(side):
        shape = sum(part.channels for part in parts), rows, columns
        index = rng.integers(0, INDICES, (shape[0], 1, 1)) + rng.integers(-2, 3, shape)
        index = np.clip(index, 0, INDICES - 1).astype(np.int32)
        symbols = np.rint((rng.normal(0, 1, shape) + leaning) * SIGMAS[index] * np.exp(patches)).astype(np.int32)
        if wild:
            symbols[rng.random(shape) < 0.01] = rng.choice([1 - 2**31, 2**31 - 1, 5000, -700])
        calls.append(Coded(parts, symbols, index))
    return calls


@pytest.fixture(scope="module", params=[1, 2])
def side(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def model(side: int) -> Adaptive:
    return fit([latents(seed, side, 12, 16) for seed in range(6)], side, SIGMAS)


def encoded(model: Adaptive, side: int, calls: list[Coded]) -> bytes:
    rows, columns = calls[0].symbols.shape[1:]
    field, encoder = model.field(rows * side, columns * side, side), Encoder()
    for call in calls:
        encoder.code(call.symbols, field.at(call.parts), call.indices)
    return encoder.finish()


def decoded(model: Adaptive, side: int, calls: list[Coded], stream: bytes) -> list[Integers]:
    rows, columns = calls[0].symbols.shape[1:]
    field, decoder = model.field(rows * side, columns * side, side), Decoder(stream)
    found = [decoder.code(None, field.at(call.parts), call.indices) for call in calls]
    decoder.finish()
    return found


def places(model: Adaptive, side: int, calls: list[Coded]) -> npt.NDArray[np.uint32]:
    rows, columns = calls[0].symbols.shape[1:]
    field = model.field(rows * side, columns * side, side)
    return np.concatenate([field.at(call.parts).locate(call.symbols, call.indices)[1] for call in calls])


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 99), rows=st.integers(1, 9), columns=st.integers(1, 20), wild=st.booleans())
def test_symbols_come_back(model: Adaptive, side: int, seed: int, rows: int, columns: int, wild: bool) -> None:
    calls = latents(seed, side, rows, columns, wild)
    stream = encoded(model, side, calls)
    for call, found in zip(calls, decoded(model, side, calls, stream), strict=True):
        np.testing.assert_array_equal(found, call.symbols)


def test_it_costs_what_is_counted_and_less_than_static_tables(model: Adaptive, side: int) -> None:
    calls = latents(100, side, 40, 48)
    counter, field = BitCounter(), model.field(40 * side, 48 * side, side)
    for call in calls:
        counter.code(call.symbols, field.at(call.parts), call.indices)
    size = len(encoded(model, side, calls))
    assert size == pytest.approx(counter.bytes, rel=1e-3)
    still = replace(
        model,
        slope=np.zeros_like(model.slope),
        common=np.zeros_like(model.common),
        sign_known=np.zeros_like(model.sign_known),
        rates=np.array([0, 0, 0, 0, 1, 1, 1, 1, 0], np.float32),
    )
    assert size < 0.96 * len(encoded(still, side, calls))


def test_every_instruction_set_gives_the_same_file(model: Adaptive, side: int) -> None:
    calls = latents(7, side, 20, 37)
    stream = encoded(model, side, calls)
    portable(True)
    try:
        assert encoded(model, side, calls) == stream
    finally:
        portable(False)


# --- what an encoder chooses ------------------------------------------------------------------------------------------


def rounded(model: Adaptive, side: int, worth: float) -> tuple[list[npt.NDArray[np.float32]], list[Integers], float]:
    """Real values, as they were rounded with a bit worth so much, and bits."""
    rng = np.random.default_rng(5)
    calls = latents(3, side, 16, 24)
    values = [(call.symbols + rng.uniform(-0.5, 0.5, call.symbols.shape)).astype(np.float32) for call in calls]
    field, counter = model.field(16 * side, 24 * side, side), BitCounter()
    found = []
    for call, x in zip(calls, values, strict=True):
        targets = Targets(x, np.full((1, 1, 1), worth, np.float32), 40)
        found.append(counter.code(targets, field.at(call.parts), call.indices))
    return values, found, counter.bits


def test_targets_are_rounded_to_the_nearest_or_towards_zero(model: Adaptive, side: int) -> None:
    values, plain, most = rounded(model, side, 0.0)
    for x, symbols in zip(values, plain, strict=True):
        assert np.abs(np.clip(x, -40, 40) - symbols).max() <= 0.5001
    values, cheap, bits = rounded(model, side, 0.5)
    for x, symbols in zip(values, cheap, strict=True):
        far = nearest(x, 40)
        assert ((symbols == far) | (symbols == far - np.sign(far))).all()
    assert bits < 0.97 * most


# --- the specification ------------------------------------------------------------------------------------------------


def cut(x: Any) -> Any:
    return (np.asarray(x, Float).view(np.uint32) & np.uint32(0xFFFF0000)).view(Float)


def in_lanes(x: npt.NDArray[np.float32], lanes: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
    lanes = np.zeros(8, Float) if lanes is None else lanes
    for j, value in enumerate(x):
        lanes[j % 8] = lanes[j % 8] + value
    return lanes


def total(lanes: npt.NDArray[np.float32]) -> Any:
    a, b, c, d, e, f, g, h = lanes
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


def log(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    bits = x.view(np.int32)
    e = ((bits >> 23) - 127).astype(Float)
    m = ((bits & 0x7FFFFF) | 0x3F800000).view(Float) - Float(1)
    c = [Float(value) for value in (0.99939754, -0.49122156, 0.28795043, -0.13476604, 0.03180657)]
    polynomial = m * (c[0] + m * (c[1] + m * (c[2] + m * (c[3] + m * c[4]))))
    return np.asarray(e * Float(0.69314718) + polynomial, Float)


def logistic(x: Any) -> Any:
    u = min(min(abs(x), Float(11.5)), Float(16)) * Float(1.44269504)
    i = int(u)
    f = Float(i) - u
    c = [Float(value) for value in (0.69306098, 0.23946224, 0.05325775, 0.00685973)]
    p = Float(1) + f * (c[0] + f * (c[1] + f * (c[2] + f * c[3])))
    t = (np.asarray(p, Float).view(np.int32) - (i << 23)).view(Float)
    small = t / (Float(1) + t)
    return small if x < 0 else Float(1) - small


def specified(model: Adaptive, side: int, calls: list[Coded]) -> Iterator[tuple[int, int]]:
    """Table and symbol of everything that is coded, in its order, by docs/reference/adaptive.md."""
    rows, columns = calls[0].symbols.shape[1:]
    bias_rate, slope_rate, common_rate, sign_rate, keep, common_keep, prior, common_prior, quiet = model.rates
    level_tables = len(model.tables) - 33
    level, mean, lean = (np.zeros((CHANNELS, side * rows + 4, side * columns + 4), Float) for _ in range(3))
    cell_level, cell_mean = (np.zeros((CHANNELS, rows + 2, columns + 2), Float) for _ in range(2))
    site_level, site_mean = (np.zeros((side * rows, side * columns), Float) for _ in range(2))
    slope, common, weight = model.slope.copy(), model.common.copy(), model.sign_weight.copy()
    evidence = [np.full_like(x, value) for x, value in ((slope, 10), (common, 60), (weight, 20))]
    around = ((0, 0, 1), (-1, 0, 0.4), (0, -1, 0.4), (0, 1, 0.4), (1, 0, 0.4),
              (-1, -1, 0.2), (-1, 1, 0.2), (1, -1, 0.2), (1, 1, 0.2))  # fmt: skip
    for call in calls:
        channels = [(part, part.channel + number) for part in call.parts for number in range(part.channels)]
        for (part, c), symbols, indices in zip(channels, call.symbols, call.indices, strict=True):
            sums = np.zeros((2, 2, 4, 8), Float)  # low and high; G and H
            for i in range(rows):
                y, x = side * i + part.row, slice(part.column, side * columns, side)
                here = slice(2 + part.column, 2 + side * columns, side)
                levels = np.minimum(abs(symbols[i].astype(np.int64)), 2**31 - 1)
                index, m = indices[i], model.expected[indices[i]]
                few, many = np.minimum(levels, 30).astype(Float), np.minimum(levels, 4096).astype(Float)
                busy = bool((m >= quiet).any())
                table = np.minimum(2 * index, level_tables - 1)
                if busy:
                    pairs = np.zeros((4, 2, columns), Float)
                    for dy, dx, factor in around:
                        for n, plane in enumerate((cell_level, cell_mean)):
                            pairs[0, n] += Float(factor) * plane[c, 1 + i + dy, 1 + dx : 1 + dx + columns]
                    for k in (0, 1):
                        for friend, factor in zip(model.friend[c, k], model.friend_weight[c, k], strict=True):
                            if factor == 0:
                                break
                            if k == 0:
                                found = level[friend, 2 + y, here], mean[friend, 2 + y, here]
                            else:
                                found = cell_level[friend, 1 + i, 1:-1], cell_mean[friend, 1 + i, 1:-1]
                            for n in (0, 1):
                                pairs[1 + k, n] += factor * found[n]
                    pairs[3] = site_level[y, x], site_mean[y, x]
                    floors = np.array([0.2, 0.1, 0.1, 0.2], Float)[:, None]
                    u = log((pairs[:, 0] + floors) / (pairs[:, 1] + floors))
                    high = np.minimum(index.astype(Float) * Float(0.03125), Float(1))
                    theta = index.astype(Float) + slope[c, 4]
                    for k in range(4):
                        theta += (slope[c, k] + (common[0, k] * (Float(1) - high) + common[1, k] * high)) * u[k]
                    theta = np.clip(theta, Float(0), Float(0.5) * Float(level_tables - 1))
                    table = (theta * Float(2) + Float(0.5)).astype(int)
                yield from zip(table.tolist(), levels.tolist(), strict=True)
                if busy:
                    g, h = model.gradient[table, np.minimum(levels, 63)], model.fisher[table]
                    low = Float(1) - high
                    for k in range(5):
                        v = u[k] if k < 4 else np.ones_like(g)
                        step, square = total(in_lanes(g * v)), total(in_lanes(h * v * v))
                        evidence[0][c, k] = evidence[0][c, k] * keep + square
                        rate = slope_rate if k < 4 else bias_rate
                        slope[c, k] += rate * step / (evidence[0][c, k] + prior)
                    for n, share in enumerate((low, high)):
                        for k in range(4):
                            in_lanes(g * u[k] * share, sums[n, 0, k])
                            in_lanes(h * u[k] * u[k] * share * share, sums[n, 1, k])
                level[c, 2 + y, here], mean[c, 2 + y, here] = cut(many), cut(m)
                for plane, add in ((cell_level, many), (cell_mean, m)):
                    plane[c, 1 + i, 1:-1] = cut(plane[c, 1 + i, 1:-1] + add)
                inverse = Float(1) / (m + Float(0.3))
                site_level[y, x] += few * inverse
                site_mean[y, x] += m * inverse
            for n in (0, 1):
                for k in range(4):
                    evidence[1][n, k] = evidence[1][n, k] * common_keep + total(sums[n, 1, k])
                    common[n, k] += common_rate * total(sums[n, 0, k]) / (evidence[1][n, k] + common_prior)
            for i, j in zip(*np.nonzero(symbols), strict=True):
                y, x = side * i + part.row + 2, side * j + part.column + 2
                inputs = np.array([lean[other, y + dy, x + dx] for other, dy, dx in model.sign[c]], Float) / Float(32)
                z = Float(0)
                if model.sign_known[c]:
                    z = total(in_lanes(weight[c] * inputs))
                positive = bool(symbols[i, j] > 0)
                yield level_tables + int(min(max(z, Float(-4)), Float(4)) * Float(4) + Float(16.5)), int(positive)
                if model.sign_known[c]:
                    chance = logistic(z)
                    step = sign_rate * (Float(positive) - chance)
                    evidence[2][c] += (chance * (Float(1) - chance) + Float(0.02)) * inputs * inputs
                    weight[c] += step * inputs / evidence[2][c]
                size = Float(min(abs(int(symbols[i, j])), 4096)) / (mean[c, y, x] + Float(0.5))
                lean[c, y, x] = math.copysign(int(min(size, Float(3)) * Float(32) + Float(0.5)), symbols[i, j])


def test_a_second_implementation_finds_the_same_tables(model: Adaptive, side: int) -> None:
    calls = latents(42, side, 7, 11, wild=True)
    starts, lengths = model.tables.entry_starts, model.tables.lengths
    expected = [starts[table] + min(symbol, lengths[table]) for table, symbol in specified(model, side, calls)]
    np.testing.assert_array_equal(places(model, side, calls), expected)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_index_that_does_not_exist_is_refused(model: Adaptive, side: int) -> None:
    calls = latents(1, side, 3, 4)
    stream = encoded(model, side, calls)
    for value in (-1, INDICES):
        wrong = [Coded(call.parts, call.symbols, np.full_like(call.indices, value)) for call in calls]
        with pytest.raises(ValueError, match="outside"):
            encoded(model, side, wrong)
        with pytest.raises(CorruptFile):
            decoded(model, side, wrong, stream)


def test_shapes_must_agree(model: Adaptive, side: int) -> None:
    call = latents(1, side, 3, 4)[0]
    step = model.field(3 * side, 4 * side, side).at(call.parts)
    with pytest.raises(ValueError, match="index must be"):
        step.locate(call.symbols, call.indices[:, 1:].copy())
    with pytest.raises(ValueError, match="differ in shape"):
        step.locate(call.symbols[:, 1:], call.indices)
    with pytest.raises(ValueError, match="31 bits"):
        step.locate(np.full_like(call.symbols, -(2**31)), call.indices)
    for height, width in ((0, side), (side, 0), (side, 513 * side)):
        with pytest.raises(ValueError, match="cannot be coded"):
            model.field(height, width, side)


def test_damaged_streams_are_refused_or_give_other_symbols(model: Adaptive, side: int) -> None:
    calls = latents(1, side, 6, 9, wild=True)
    stream = encoded(model, side, calls)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(stream)
        damaged[rng.integers(len(stream))] ^= 1 << rng.integers(8)
        try:
            decoded(model, side, calls, bytes(damaged[: rng.integers(1, len(stream) + 1)]))
        except (CorruptFile, Desync):
            refused += 1
    assert refused > 190


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("friend", lambda x: np.full_like(x, CHANNELS)),
        ("sign", lambda x: np.full_like(x, -1)),
        ("sign", lambda x: x[:-1]),
        ("sign", lambda x: np.where(np.arange(3) == 1, 3, x).astype(np.int16)),
        ("slope", lambda x: np.full_like(x, np.nan)),
        ("expected", lambda x: -1 - x),
        ("rates", lambda x: x[1:]),
        ("gradient", lambda x: x.astype(np.float64)),
        ("minimums", lambda x: x - 1),
        ("fisher", None),
    ],
)
def test_arrays_that_are_no_tables_are_refused(model: Adaptive, name: str, change: Any) -> None:
    arrays = dict(model.to_arrays())
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    with pytest.raises(CorruptFile):
        Adaptive.from_arrays(arrays)


def test_arrays_come_back(model: Adaptive) -> None:
    again = Adaptive.from_arrays(model.to_arrays())
    for name, array in model.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)
