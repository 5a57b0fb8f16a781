"""Layers of bits: they come back, cost what they tell, and damage is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from calotype.coding.bits import MOST_BITS, BitModel, Layer, Weights, teach, untaught
from calotype.errors import CorruptFile, Unsupported

BITS = 5


def drawn(height: int, width: int, layers: int, seed: int = 0, flips: float = 0.1) -> list[Layer]:
    """Each layer like the one before, and each bit like the one to its left, but for some."""
    random = np.random.default_rng(seed)
    found = []
    layer = np.where(random.random((height, width, BITS)) < 0.5, 1, -1).astype(np.int8)
    for _ in range(layers):
        layer = layer.copy()
        for x in range(1, width):
            layer[:, x] = layer[:, x - 1]
        layer = np.where(random.random(layer.shape) < flips, -layer, layer)
        found.append(layer)
    return found


def coded(layers: list[Layer], start: Weights) -> list[bytes]:
    model = BitModel(layers[0].shape[0], layers[0].shape[1], start)
    return [model.encode(layer) for layer in layers]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (13, 17)])
@pytest.mark.parametrize("flips", [0.0, 0.1, 0.5])
def test_layers_come_back(size: tuple[int, int], flips: float) -> None:
    layers, start = drawn(*size, 4, flips=flips), untaught(4, BITS)
    streams = coded(layers, start)
    model = BitModel(*size, start)
    for layer, stream in zip(layers, streams, strict=True):
        np.testing.assert_array_equal(model.decode(stream), layer)
        assert len(stream) <= -(-layer.size // 8)
    assert not start.any()


def test_what_was_learned_before_saves_bytes() -> None:
    layers = drawn(24, 32, 3)
    taught = teach(untaught(3, BITS), [drawn(24, 32, 3, seed) for seed in range(1, 9)])
    before, after = (sum(map(len, coded(layers, start))) for start in (untaught(3, BITS), taught))
    plain = 3 * 24 * 32 * BITS / 8
    entropy = -0.1 * np.log2(0.1) - 0.9 * np.log2(0.9)
    assert entropy * plain < after < 0.8 * before < 0.8 * plain


def test_noise_costs_its_bits_and_no_more() -> None:
    layers = drawn(30, 30, 2, flips=0.5)
    assert sum(map(len, coded(layers, untaught(2, BITS)))) == 2 * -(-30 * 30 * BITS // 8)


def test_extremes_do_not_break_the_arithmetic() -> None:
    """Weights at the ends of their range, wrong about every bit."""
    layers = drawn(9, 9, 2)
    for value in (-(2**15), 2**15 - 1):
        start = np.full_like(untaught(2, BITS), value)
        streams, model = coded(layers, start), BitModel(9, 9, start)
        for layer, stream in zip(layers, streams, strict=True):
            np.testing.assert_array_equal(model.decode(stream), layer)


def test_a_stream_too_short_or_too_long_is_refused() -> None:
    (layer,), start = drawn(24, 32, 1, flips=0.2), untaught(1, BITS)
    (stream,) = coded([layer], start)
    assert len(stream) < layer.size // 8
    for wrong in (b"", stream[: len(stream) // 2], stream + b"more"):
        with pytest.raises(CorruptFile):
            BitModel(24, 32, start).decode(wrong)


def test_too_many_bits_are_refused() -> None:
    untaught(1, MOST_BITS)
    for bits in (0, MOST_BITS + 1):
        with pytest.raises(Unsupported, match=f"{bits} bits"):
            untaught(1, bits)


def logistic(x: np.float32) -> np.float32:
    """As docs/format/prism.md has it, in single precision."""
    one = np.float32
    scaled = min(abs(x), one(11.5)) * one(1.44269504)
    whole = int(scaled)
    f = one(whole) - scaled
    p = one(1) + f * (one(0.69306098) + f * (one(0.23946224) + f * (one(0.05325775) + f * one(0.00685973))))
    tail = one(np.ldexp(p, -whole))
    small = tail / (one(1) + tail)
    return small if x < 0 else one(1) - small


def learned(weights: Weights, layers: list[Layer]) -> Weights:
    """What the weights become: docs/reference/bits.md in plain Python."""
    weights = weights.copy()
    height, width, bits = layers[0].shape
    nothing = np.zeros((height + 2, width + 2, bits), np.int8)
    padded = [nothing, nothing, *(np.pad(layer, ((1, 1), (1, 1), (0, 0))) for layer in layers)]
    for number, (earlier, before, layer) in enumerate(zip(padded, padded[1:], padded[2:], strict=False)):
        for y in range(1, height + 1):
            for x in range(1, width + 1):
                for k in range(bits):
                    here = np.where(np.arange(bits) < k, layer[y, x], 0)
                    around = [layer[y, x - 1], layer[y - 1, x], layer[y - 1, x - 1], layer[y - 1, x + 1]]
                    past = [before[y, x], before[y, x + 1], before[y + 1, x], earlier[y, x]]
                    seen = np.concatenate([here, *around, *past, [1]]).astype(np.int64)
                    row = weights[number, k]
                    odds = np.float32(int(row.astype(np.int64) @ seen)) / np.float32(4096)
                    chance = int(min(max(logistic(odds) * np.float32(65536), np.float32(32)), np.float32(65504)))
                    error = 65536 * int(layer[y, x, k] > 0) - chance
                    row += (((2 * error + 8192) >> 14) * seen).astype(np.int16)
    return weights


def test_weights_follow_the_gradient_as_the_reference_says() -> None:
    layers = drawn(5, 6, 4)
    start = (np.random.default_rng(1).normal(0, 900, untaught(4, BITS).shape)).astype(np.int16)
    model = BitModel(5, 6, start)
    for layer in layers:
        model.learn(layer)
    np.testing.assert_array_equal(model.weights, learned(start, layers))
    assert (model.weights != start).any()
