"""A second decoder of `rnn`, written from docs/format/rnn.md and docs/reference/bits.md: plain Python and NumPy.

Only the networks are run by ONNX Runtime, from the weights file as it is.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from calotype.codec import Host
from calotype.codecs.rnn import codec as rnn
from calotype.codecs.rnn.codec import RNNCodec
from calotype.coding import crc32c
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.weights import Weights
from tests import specimens
from tests.codecs.fit.test_reference import Bits
from tests.codecs.prism.test_reference import logistic
from tests.coding.test_coder import ReferenceDecoder

Ints = npt.NDArray[np.int64]
F = np.float32
T = [800, 566, 400, 283, 200, 141, 100, 71, 50, 35, 25, 18, 12, 9, 6]
L = [39, 37, 35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 14, 13, 10]
AROUND = [1, 4, 8, 16, 32]


def run(weights: Weights, name: str, **inputs: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(weights.network(name), providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, inputs)
    return found


# --- bits -------------------------------------------------------------------------------------------------------------


def decode_bits(stream: bytes, weights: Ints, shape: tuple[int, int, int], layers: list[Ints]) -> Ints:
    """The next layer (h, w, bits); its weights (bits, inputs) change."""
    height, width, bits = shape
    plain = len(stream) == (height * width * bits + 7) // 8
    decisions = Bits(stream)
    layer, nothing = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    before, earlier = [nothing, nothing, *layers][:-3:-1]

    def at(known: Ints, y: int, x: int) -> Ints:
        return known[y, x] if 0 <= y < height and 0 <= x < width else nothing[0, 0]

    for y in range(height):
        for x in range(width):
            around = [at(layer, y, x - 1), at(layer, y - 1, x), at(layer, y - 1, x - 1), at(layer, y - 1, x + 1)]
            around += [at(before, y, x), at(before, y, x + 1), at(before, y + 1, x), at(earlier, y, x)]
            for k in range(bits):
                inputs = np.concatenate([layer[y, x], *around, [1]])
                odds = F(weights[k] @ inputs) / F(4096)
                chance = int(min(max(logistic(odds) * F(65536), F(32)), F(65504)))
                number = (y * width + x) * bits + k
                bit = stream[number // 8] >> (7 - number % 8) & 1 if plain else decisions.decide(chance)
                step = (2 * (65536 * bit - chance) + 8192) >> 14
                weights[k] = (weights[k] + step * inputs + 2**15) % 2**16 - 2**15
                layer[y, x, k] = 2 * bit - 1
    assert plain or 0 <= decisions.place - len(stream) <= 4
    return layer


# --- refinements ------------------------------------------------------------------------------------------------------


class Pass:
    """Coefficients as they come to be known."""

    def __init__(self, weights: Weights, layers: list[Ints]) -> None:
        self.places = [tuple(place) for place in weights.arrays["refine_places"].tolist()]
        bits = np.concatenate([layer.transpose(2, 0, 1) for layer in layers])[None].astype(F)
        (y,) = run(weights, "foresight", x=bits)
        coarser = np.array([place[3] for place in self.places])
        self.e: Ints = np.maximum(0, y[0].transpose(1, 2, 0).astype(np.int64) - coarser)
        self.low, self.width = np.zeros_like(self.e), np.zeros_like(self.e)
        lengths = weights.arrays["refine_lengths"].astype(np.int64) + 1
        ends = np.cumsum(lengths)
        frequencies = weights.arrays["refine_frequencies"].tolist()
        self.tables = [frequencies[end - size : end] for size, end in zip(lengths, ends, strict=True)]
        self.minimums = weights.arrays["refine_minimums"].tolist()

    def decode(self, stream: bytes, number: int) -> None:
        t, octaves = T[number], L[number]
        coder = ReferenceDecoder(stream) if stream else None
        known = np.abs(self.low) + self.width // 2
        plain, wide = self.low == 0, (self.low != 0) & (self.width >= t)
        rows = len(self.low)
        for top in range(0, rows, 16):
            for is_half, which in ((False, plain), (True, wide)):
                for y, x, k in np.argwhere(which[top : top + 16]).tolist():
                    here = top + y, x, k
                    table = 96 if is_half else self.table(known, here, t, octaves)
                    assert coder is not None
                    s = coder.symbol(self.tables[table], self.minimums[table])
                    if not is_half:
                        s = min(max(s, -(31967 // t)), 31967 // t)
                        self.low[here], self.width[here] = s * t, t * (s != 0)
                        continue
                    half = self.width[here] // 2
                    if s == 1:
                        self.low[here] += np.sign(self.low[here]) * half
                    self.width[here] = self.width[here] - half if s == 1 else half
        assert coder is None or coder.finish()

    def table(self, known: Ints, here: tuple[int, int, int], t: int, octaves: int) -> int:
        (height, width, _), (y, x, k) = known.shape, here
        a = known[max(y - 1, 0), x, k] + known[min(y + 1, height - 1), x, k]
        a += sum(known[y, i, k] for i in (x - 1, x + 1) if 0 <= i < width)
        colour, row, column, _ = self.places[k]
        beside = {
            (colour, row + 1, column),
            (colour, row - 1, column),
            (colour, row, column + 1),
            (colour, row, column - 1),
        }
        a += sum(known[y, x, i] for i, place in enumerate(self.places) if place[:3] in beside)
        n = sum(edge * t <= 8 * a for edge in AROUND)
        return int(6 * min(max((int(self.e[here]) - octaves + 22) // 2, 0), 15) + n)

    def shown(self, stride: int) -> npt.NDArray[np.float64]:
        """Samples (3, h, w) to be added."""
        height, width, _ = self.low.shape
        blocks = np.zeros((3, height, width, stride, stride))
        size = np.abs(self.low) + 0.45 * self.width
        for k, (colour, row, column, c) in enumerate(self.places):
            blocks[colour, :, :, row, column] = (np.sign(self.low) * size)[..., k] * 2 ** (c / 4) / 1020
        n = np.arange(stride)
        dct = (
            np.cos((2 * n + 1) * n[:, None] * np.pi / (2 * stride)) * np.sqrt(np.where(n == 0, 1, 2) / stride)[:, None]
        )
        samples = (dct.T @ blocks @ dct).transpose(0, 1, 3, 2, 4).reshape(3, height * stride, width * stride)
        axes = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
        found: npt.NDArray[np.float64] = np.einsum("kc,khw->chw", axes, samples)
        return found


# --- files ------------------------------------------------------------------------------------------------------------


def varint(data: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value, shift, place = value | (data[place] & 127) << shift, shift + 7, place + 1
        if data[place - 1] < 128:
            return value, place


def decode(bodies: list[bytes], shape: tuple[int, int, int], weights: Weights) -> Any:
    """Pixels (h, w, channels) of the chunks `I`."""
    recipe = weights.recipe
    stride = recipe["surface_stride"] * int(np.prod(recipe["encoder_strides"]))
    height, width, channels = shape
    side = 64 * bodies[0][0]
    length, place = varint(bodies[0], 1)
    alpha = bodies[0][place : place + length]
    bodies = [bodies[0][place + length :], *bodies[1:]]
    rows, columns = -(-height // stride), -(-width // stride)
    networked = recipe["iterations"] - recipe.get("refinements", 0)
    start = weights.arrays["bits_start"].astype(np.int64)
    layers: list[Ints] = []
    passes = None
    for number, body in enumerate(bodies):
        sealed, stream = int.from_bytes(body[:4], "little"), body[4:]
        if number < networked:
            layers.append(decode_bits(stream, start[number], (rows, columns, recipe["bits"]), layers))
            assert crc32c(layers[-1].astype(np.int8).tobytes()) == sealed
        else:
            passes = passes or Pass(weights, layers)
            passes.decode(stream, number - networked)
            assert crc32c(passes.low.astype("<i2").tobytes()) == sealed
    samples = np.empty((3, rows * stride, columns * stride))
    for y in range(0, rows, side // stride):
        for x in range(0, columns, side // stride):
            part = [layer[y : y + side // stride, x : x + side // stride] for layer in layers]
            found = picture(weights, part, recipe["reconstruction"])
            samples[:, y * stride :, x * stride :][:, : found.shape[1], : found.shape[2]] = 0.5 + found
    if passes is not None:
        samples += passes.shown(stride)
    if channels < 3:
        samples = samples.mean(0, keepdims=True)
    pixels = np.clip(np.rint(255 * samples), 0, 255)[:, :height, :width].transpose(1, 2, 0).astype(np.uint8)
    return np.concatenate([pixels, filtered(alpha, height, width)], -1) if channels in (2, 4) else pixels


def picture(weights: Weights, layers: list[Ints], reconstruction: str) -> Any:
    """What the networks make of a tile: (3, h, w)."""
    session = onnxruntime.InferenceSession(weights.network("decoder"), providers=["CPUExecutionProvider"])
    height, width, _ = layers[0].shape
    recipe, shapes, closer = weights.recipe, [], 1
    if reconstruction == "scaled":
        shapes.append((1, recipe["surface_width"], height, width))
    for features, stride in zip(recipe["decoder"], recipe["decoder_strides"], strict=True):
        for times in {"gru": (1,), "lstm": (1, 1), "associative": (1, 4)}[recipe["unit"]]:
            shapes.append((1, times * features, height * closer, width * closer))
        closer *= stride
    names = [f"state{number}" for number in range(len(shapes))]
    state = [np.zeros(shape, F) for shape in shapes]
    total: Any = 0
    for layer in layers:
        bits = layer.transpose(2, 0, 1)[None].astype(F)
        y, *state = session.run(None, {"x": bits, **dict(zip(names, state, strict=True))})
        total = y[0] if reconstruction == "one-shot" else total + y[0]
    return total


def filtered(data: bytes, height: int, width: int) -> Any:
    plane = np.frombuffer(zlib.decompress(data[1:]), np.uint8).reshape(height, width).astype(np.int64)
    if data[0] in (2, 3):
        plane = plane.cumsum(0)
    if data[0] in (1, 3):
        plane = plane.cumsum(1)
    return (plane % 256).astype(np.uint8)[..., None]


LEVEL = 1  # of 255: what the page allows, as networks and cosines are in floating point


def check(weights: Weights, pixels: npt.NDArray[np.uint8], quality: float) -> None:
    codec = RNNCodec(Host(weights))
    payload = codec.encode(Image(pixels), EncodeOptions(quality=quality))
    expected = codec.decode(payload, DecodeOptions()).pixels
    found = decode([chunk.body for chunk in payload.chunks], pixels.shape, weights)
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= LEVEL
    assert (off > 0).mean() < 0.001
    assert found.std() > 0


@pytest.mark.parametrize(
    ("name", "channels", "quality"),
    [("rnn.small", 3, 25), ("rnn.small", 2, 7), ("rnn.refined", 3, 100), ("rnn.refined", 1, 60)],
)
def test_the_page_is_enough_to_decode(
    name: str, channels: int, quality: float, texture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnn, "TILE", 64)
    check(specimens.weights(name), texture(83, 40, channels), quality)


def test_the_page_is_enough_to_decode_with_states_of_several_sizes(texture: Any) -> None:
    pytest.importorskip("torch")
    from calotype.codecs.rnn.training import TRAINING
    from tests.codecs.rnn.test_training import small, small_model

    check(Weights(TRAINING.freeze(small_model(small("thumb-conv"))), "a test"), texture(20, 33, 3), 100)
