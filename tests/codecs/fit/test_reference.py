"""A second decoder of `fit`'s tiles, written from docs/format/fit.md: NumPy in 64 bits, tables from formulas."""

from __future__ import annotations

from math import ceil, exp

import numpy as np
import numpy.typing as npt
import pytest

import calotype
import calotype.container
from calotype.codecs.fit.architecture import Architecture
from calotype.codecs.fit.layout import Layout
from calotype.codecs.fit.network import Decoder
from calotype.codecs.fit.stream import Stream
from calotype.tiled import open_record
from calotype.tiling import Grid
from tests.codecs.fit.drawn import drawn

Ints = npt.NDArray[np.int64]
NEIGHBOURS = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-1, 2), (-2, -1), (-2, 1), (-2, -2),
              (-2, 2), (0, -3), (-3, 0)]  # fmt: skip
U32 = 2**32 - 1


class Bits:
    """Decisions of a stream."""

    def __init__(self, stream: bytes) -> None:
        self.stream, self.place = stream, 4
        self.a, self.b = 0, U32
        self.code = int.from_bytes((stream + bytes(4))[:4], "big")

    def decide(self, chance: int) -> int:
        middle = self.a + ((self.b - self.a) * chance >> 16)
        bit = int(self.code <= middle)
        self.a, self.b = (self.a, middle) if bit else (middle + 1, self.b)
        while self.a >> 24 == self.b >> 24:
            byte = self.stream[self.place] if self.place < len(self.stream) else 0
            self.place += 1
            self.code = (self.code << 8 | byte) & U32
            self.a, self.b = self.a << 8 & U32, (self.b << 8 | 255) & U32
        return bit

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = 2 * value + self.decide(32768)
        return value

    def value(self, scale: int, mean: int, limit: int) -> int:
        centre = (mean + 32) >> 6
        offset = mean - 64 * centre
        if not self.decide(other(scale, abs(offset))):
            return centre
        side = 1 if bool(self.decide(near(scale, abs(offset)))) == (offset >= 0) else -1
        most, digits = limit - side * centre - 1, digit_count(scale)
        strides = 0
        while strides < most >> digits:
            if not self.decide(max(more(scale), 0 if strides == 0 else 6144 if strides < 6 else 49152)):
                break
            strides += 1
        distance = strides
        for place in reversed(range(digits)):
            distance = 2 * distance + self.decide(digit(scale, place))
        return centre + side * (1 + min(distance, most))


def chance(p: float, least: int) -> int:
    return min(max(round(65536 * p), least), 65536 - least)


def b_of(scale: int) -> float:
    return float(2 ** (scale / 8 - 5))


def other(scale: int, offset: int) -> int:
    b, phi = b_of(scale), offset / 64
    return chance((exp(-(0.5 - phi) / b) + exp(-(0.5 + phi) / b)) / 2, 2)


def near(scale: int, offset: int) -> int:
    return chance(1 / (1 + exp(-2 * offset / 64 / b_of(scale))), 32)


def digit_count(scale: int) -> int:
    return next(g for g in range(99) if exp(-(2**g) / b_of(scale)) <= 0.5 + 1e-12)


def digit(scale: int, place: int) -> int:
    ratio = exp(-(2**place) / b_of(scale))
    return chance(ratio / (1 + ratio), 32)


def more(scale: int) -> int:
    return chance(exp(-(2 ** digit_count(scale)) / b_of(scale)), 128)


def sat(x: Ints) -> Ints:
    return np.clip(x, -32768, 32767)


def rounded(x: Ints, bits: int) -> Ints:
    return (x + (1 << bits - 1)) >> bits if bits else x


def decode_tile(stream: bytes, height: int, width: int, channels: int, depth: int) -> Ints:
    """Pixels (h, w, channels)."""
    bits = Bits(stream)
    pixels = height * width
    grids = 7 if pixels < 1_000_000 else 8 if pixels < 3_000_000 else 9
    neighbours, features, hidden = bits.number(4) + 1, bits.number(3) + 1, bits.number(6) + 1
    a = bits.number(4)
    d, k = neighbours + features, grids
    groups: list[dict[str, tuple[int, ...]]] = [
        {"F0": (features, k - 1), "F1": (features, k - 2), "F2": (features, k - 3)},
        {"A1": (d, d), "A2": (d, d)},
        {"a1": (d,), "a2": (d,)},
        {"A3": (2, d), "L": (2, d)},
        {"b": (k, 2)},
        {"taps": (k - 1, 4)},
        {"B1": (hidden, k)},
        {"c1": (hidden,)},
        {"B2": (channels, hidden)},
        {"c2": (channels,)},
        {"M": (channels, k)},
        {"R1": (channels, channels, 3, 3), "R2": (channels, channels, 3, 3)},
        {"r1": (channels,), "r2": (channels,)},
    ]
    values: dict[str, Ints] = {}
    steps: list[int] = []
    for parts in groups:
        steps.append(bits.number(4))
        scale = bits.number(7)
        for name, shape in parts.items():
            count = int(np.prod(shape))
            values[name] = np.array([bits.value(scale, 0, 32767) for _ in range(count)], np.int64).reshape(shape)
    h, r = steps[6], steps[11]
    o = max(max(steps[8], steps[10]) + a - 13, 0)
    points = [10, 10, 16, 10, 16, 13, h, h + a, o + 13 - a, o + 13, o + 13 - a, r, r + 13]
    n: dict[str, Ints] = {}
    for parts, step, point in zip(groups, steps, points, strict=True):
        for name in parts:
            n[name] = values[name] << point - step if point >= step else rounded(values[name], step - point)
    latents = decode_latents(bits, n, (height, width), grids, neighbours, features)
    assert len(stream) - 4 <= bits.place <= len(stream) + 4
    return synthesise(n, latents, a, h, o, r, depth)


def decode_latents(
    bits: Bits, n: dict[str, Ints], size: tuple[int, int], grids: int, neighbours: int, features: int
) -> list[Ints]:
    latents = [np.zeros((ceil(size[0] / 2**k), ceil(size[1] / 2**k)), np.int64) for k in range(grids)]
    first, second = (n[name] + 1024 * np.eye(neighbours + features, dtype=np.int64) for name in ("A1", "A2"))
    for k in reversed(range(grids)):
        grid = latents[k]
        for r in range(grid.shape[0]):
            for c in range(grid.shape[1]):
                x = np.zeros(neighbours + features, np.int64)
                for i, (dy, dx) in enumerate(NEIGHBOURS[:neighbours]):
                    if r + dy >= 0 and 0 <= c + dx < grid.shape[1]:
                        x[i] = 64 * grid[r + dy, c + dx]
                if k < 3:
                    coarser = np.array([latents[j][r >> j - k, c >> j - k] for j in range(k + 1, grids)])
                    x[neighbours:] = sat(rounded(n[f"F{k}"] @ coarser, 4))
                h1 = np.maximum(sat(rounded(first @ x + n["a1"], 10)), 0)
                h2 = np.maximum(sat(rounded(second @ h1 + n["a2"], 10)), 0)
                mean, log_scale = rounded(n["A3"] @ h2 + n["L"] @ x + n["b"][k], 10).tolist()
                mean, log_scale = min(max(mean, -16256), 16256), min(max(log_scale, -320), 320)
                scale = min(max((11819 * log_scale + 40 * 65536 + 32768) >> 16, 0), 96)
                grid[r, c] = bits.value(scale, mean, 255)
    return latents


def doubled(plane: Ints, taps: Ints) -> Ints:
    """Along the first axis."""
    t0, t1, t2, t3 = taps
    p = np.pad(plane, ((2, 2), (0, 0)), "edge")
    a, b, c, d, e = (p[i : i + len(plane)] for i in range(5))
    out = np.empty((2 * plane.shape[0], plane.shape[1]), np.int64)
    out[::2] = sat(rounded(t0 * a + t2 * b + t3 * c + t1 * d, 13))
    out[1::2] = sat(rounded(t1 * b + t3 * c + t2 * d + t0 * e, 13))
    return out


def synthesise(n: dict[str, Ints], latents: list[Ints], a: int, h: int, o: int, r: int, depth: int) -> Ints:
    planes: list[Ints] = []
    for k in reversed(range(len(latents))):
        height, width = latents[k].shape
        planes = [doubled(doubled(p, n["taps"][k])[:height].T, n["taps"][k])[:width].T for p in planes]
        planes.append(sat(latents[k] << a))
    u = np.stack(planes)
    z = np.maximum(sat(rounded(np.tensordot(n["B1"], u, 1) + n["c1"][:, None, None], h)), 0)
    total = np.tensordot(n["B2"], z, 1) + np.tensordot(n["M"], u, 1)
    v = sat(rounded(total + n["c2"][:, None, None], o))
    v = sat(v + np.maximum(sat(rounded(convolved(v, n["R1"]) + n["r1"][:, None, None], r)), 0))
    v = sat(v + sat(rounded(convolved(v, n["R2"]) + n["r2"][:, None, None], r)))
    return ((np.clip(v + 4096, 0, 8192) * ((1 << depth) - 1) + 4096) >> 13).transpose(1, 2, 0)


def convolved(v: Ints, kernel: Ints) -> Ints:
    _, height, width = v.shape
    p = np.pad(v, ((0, 0), (1, 1), (1, 1)), "edge")
    shifted = [p[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.einsum("ceyx,yxehw->chw", kernel, np.reshape(shifted, (3, 3, *v.shape)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (23, 37)], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (6, 2, 8), (10, 4, 16), (13, 8, 5), (14, 6, 48)], ids=str)
def test_drawn_tiles_decode_to_the_same_pixels(
    size: tuple[int, int], channels: int, shape: tuple[int, int, int]
) -> None:
    for seed in range(2):
        depth = 8 + 4 * seed
        network, latents = drawn(Architecture(*size, channels, 7, *shape), seed)
        stream = Stream()
        network.put(stream)
        decoder = Decoder(network, depth)
        np.testing.assert_array_equal(decoder.code(stream, latents), latents)
        found = decode_tile(stream.finish(), *size, channels, depth)
        np.testing.assert_array_equal(decoder.render(latents), found)
        assert size != (23, 37) or found.std() > 0


@pytest.mark.parametrize("channels", [1, 4])
def test_files_decode_to_the_same_pixels(texture: object, channels: int) -> None:
    pixels = texture(45, 70, channels)  # type: ignore[operator]
    data = calotype.encode(pixels, 60, model="fit", effort=1, threads=1)
    _, chunks = calotype.container.unpack(data)
    layout = Layout.parse(chunks)
    grid = Grid(45, 70, layout.side)
    _, stream = open_record(layout.tiles[0])
    colours = 3 if channels == 4 else 1
    assert (grid.rows, grid.columns) == (1, 1)
    found = decode_tile(stream, 45, 70, colours, 8)
    np.testing.assert_array_equal(calotype.decode(data).reshape(45, 70, channels)[..., :colours], found)
