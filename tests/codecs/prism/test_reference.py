"""A second decoder of `prism`'s streams, written from docs/format/prism.md: slow, plain, NumPy single precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import calotype
import calotype.container
from calotype.codecs.prism import codec as prism
from calotype.codecs.prism import layout
from calotype.image import Image, empty
from calotype.tiled import open_record

F = np.float32
Floats = npt.NDArray[np.float32]
CORNER = [(0, -1, 1), (-1, -1, 3)]
SQUARE = [(-1, -1, 3), (0, -1, 3), (1, -1, 3)]
DIAMOND = [(-2, 0, 1), (-1, -1, 3), (0, -2, 5), (1, -1, 3), (2, 0, 1)]
FILTERS: list[Any] = [  # drift, then by the number of references: (plane, runs) ...
    (2e-8, [(0, [(0, -4, 4), (-1, -3, 7), (-2, -3, 7), (-3, -2, 5), (-4, 0, 1)])],
     [(0, [(0, -3, 3), (-1, -3, 7), (-2, -2, 5), (-3, -1, 3)]), (1, DIAMOND)],
     [(0, [(0, -2, 2), (-1, -2, 5), (-2, -1, 3)]), (1, DIAMOND), (2, SQUARE)]),
    (2e-3, [(0, [(0, -2, 2), (-1, -2, 5), (-2, 0, 1)])],
     [(0, CORNER), (1, [(0, -1, 3), (-1, 0, 1)])],
     [(0, CORNER), (1, [(0, -1, 2)]), (2, [(0, -1, 2)])]),
    (1e-5, [(0, [(0, -3, 3), (-1, -3, 7), (-2, -2, 5), (-3, 0, 1)])],
     [(0, [(0, -2, 2), (-1, -2, 5), (-2, 0, 1)]), (1, [(0, -2, 5), (-1, -1, 2), (1, 0, 1)])],
     [(0, [(0, -2, 2), (-1, -1, 3)]), (1, [(0, -1, 3), (-1, -1, 3), (1, 0, 1)]), (2, [(0, -1, 3), (-1, 0, 1)])]),
    (1e-1, [(0, CORNER)],
     [(0, [(0, -1, 1), (-1, 0, 1)]), (1, [(0, -1, 2), (-1, 0, 1)])],
     [(0, [(0, -1, 1), (-1, 0, 1)]), (1, [(0, -1, 2), (-1, 0, 1)]), (2, [(0, 0, 1)])]),
    (1e-6, [(0, [(0, -4, 4), (-1, -4, 9), (-2, -4, 9), (-3, -3, 7), (-4, -1, 3)])],
     [(0, [(0, -2, 2), (-1, -2, 5), (-2, -1, 3)]), (1, [*SQUARE, (-2, -1, 3), (2, -1, 3)])],
     [(0, [(0, -2, 2), (-1, -2, 5), (-2, 0, 1)]), (1, SQUARE), (2, [(0, -1, 3), (1, 0, 1), (-1, -1, 3)])]),
    (1e-4, [(0, [(0, -2, 2), (-1, -1, 3), (-2, -1, 3)])],
     [(1, [(0, -2, 5), (-1, 0, 1), (1, 0, 1)]), (0, [(-1, 0, 1)])],
     [(2, [(0, -1, 3), (1, 0, 1), (-1, 0, 1)]), (1, [(0, 0, 1)]), (0, [(-1, 0, 1), (0, -1, 1)])]),
]  # fmt: skip
IDLE = {2: [7, 3], 3: [3, 1], 4: [3, 0], 5: [1, 0], 6: [0, 0], 7: [1, 0, 0, 0, 1, 0], 8: [0] * 6, 9: [0] * 6}
MARGIN = 4
U32 = 2**32 - 1


class Bits:
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
            self.a, self.b = self.a << 8 & U32, (self.b << 8 & U32) | 255
            self.code = (self.code << 8 & U32) | byte
        return bit


def walk(
    first: int,
    last: int,
    t: int,
    stride_of: Callable[[int], int],
    ask: Callable[[int, int, int, int, int], int],
    centre: bool = False,
) -> int:
    """The sample, or the number of its bin; `t` is the first threshold, `centre` says whether 0 is asked for before.

    `ask(node, t, start, end, up)` takes a decision, `stride_of(strides)` says how far to go.
    """
    start, end, up, strides, halvings, phase = first, last + 1, 0, 0, 0, "start"
    t = min(max(t, first + 1), last)
    if centre and end - start > 1:
        if ask(49, 0, start, end, 0):
            return 0
        up = int(start == 0) if start == 0 or end == 1 else ask(0, 1, start, end, 0)
        start, end, phase = (1, end, "stride") if up else (start, 0, "stride")
        t = begin(start, end, up, stride_of(0))
    while end - start > 1:
        node = {
            "start": 0,
            "stride": 1 + 8 * up + min(strides, 7),
            "halve": 17 + 16 * up + 4 * min(strides, 3) + min(halvings, 3),
        }[phase]
        bit = ask(node, t, start, end, up)
        start, end = (t, end) if bit else (start, t)
        if phase == "start":
            up, phase = bit, "stride"
        elif phase == "halve":
            halvings += 1
        elif bit == up:
            strides += 1
        else:
            phase = "halve"
        t = begin(start, end, up, stride_of(strides)) if phase == "stride" else (start + end + 1 - up) // 2
    return start


def begin(start: int, end: int, up: int, stride: int) -> int:
    """The next threshold, a stride away from the guess."""
    stride = max(stride, 1)
    return max(min(start + stride if up else end - stride, end - 1), start + 1)


class Bins:
    """Of values within a bound; with bound 0 each value is one, by its own number."""

    def __init__(self, guess: int, low: int, high: int, bound: int, grid: int) -> None:
        self.low, self.high, self.bound, self.step = low, high, bound, 2 * bound + 1
        self.origin, self.first, self.last, self.t = 0, low, high, guess + 1
        if bound:
            guess = (guess + bound) // self.step * self.step if grid else guess
            self.origin = limited(guess, low, high)
            self.first = -max(self.origin - low - bound, 0) // self.step
            self.last = -(-max(high - self.origin - bound, 0) // self.step)
            self.t = 1

    def value(self, k: int) -> int:
        return int(limited(self.origin + k * self.step, self.low, self.high))


def limited(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


def octaves(x: float | np.number[Any], bits: int) -> int:
    """Steps of 2^-bits octaves."""
    return (int(np.array(x, F).view(np.int32)) >> (23 - bits)) - (127 << bits)


class Plane:
    """Rows with MARGIN more entries on both sides, MARGIN more rows above and below."""

    def __init__(self, width: int, height: int, first: int, kind: type[np.generic]) -> None:
        self.width, self.height = width, height
        self.data = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN), kind)
        self.data[:MARGIN] = first

    def __getitem__(self, at: tuple[int, int]) -> Any:
        return self.data[at[1] + MARGIN, at[0] + MARGIN]

    def __setitem__(self, at: tuple[int, int], value: Any) -> None:
        self.data[at[1] + MARGIN, at[0] + MARGIN] = value

    def end_row(self, y: int, left: bool = True) -> None:
        row = self.data[y + MARGIN]
        row[-MARGIN:] = row[-MARGIN - 1]
        if left:
            row[:MARGIN] = row[MARGIN]
        if y + 1 == self.height:
            self.data[self.height + MARGIN :] = row


class Quick:
    def __init__(
        self,
        stream: bytes,
        width: int,
        height: int,
        depth: int,
        low: int,
        high: int,
        references: list[Any],
        effort: int,
        bound: int = 0,
        grid: int = 0,
    ) -> None:
        self.samples = s = Plane(width, height, 1 << (depth - 1), np.int64)
        self.errors = m = Plane(width, height, 0, np.int64)
        bits = Bits(stream)
        cells: dict[Any, tuple[int, int]] = {}
        self.numbers = np.empty((height, width), int)
        chances: dict[Any, int] = {}
        for y in range(height):
            s.data[y + MARGIN, :MARGIN] = s[0, y - 1]
            for x in range(width):

                def gradient(other: Any, x: int = x, y: int = y) -> int:
                    def d(i: int, j: int) -> int:
                        return int(s[i, j]) - (int(other[i, j]) if other else 0)

                    w, n, nw, ne = d(x - 1, y), d(x, y - 1), d(x - 1, y - 1), d(x + 1, y - 1)
                    median = limited(w + n - nw, min(w, n), max(w, n))
                    return median + ((2 * (w + n) + ne - nw + 2) >> 2) + (2 * int(other[x, y]) if other else 0)

                guesses = [gradient(r.samples) for r in references] or [gradient(None)]
                hints = [int(r.errors[x, y]) for r in references]
                guess = guesses[0] if len(guesses) == 1 else sum(guesses) + 1 >> 1
                hint = 0
                if hints:
                    hint = min(octaves((hints[0] if len(hints) == 1 else sum(hints) + 1 >> 1) + 1, 1), 7)
                near = m[x - 1, y - 1] + m[x + 1, y - 1] + m[x - 2, y] + m[x + 2, y - 1]
                level = min(octaves(2 * (m[x - 1, y] + m[x, y - 1]) + near + 1, 1), 23)
                mean, bias = cells.get((level, hint), (700 << (level >> 1), 0))
                guess = limited(guess + (bias >> 13) >> 1, low, high)
                around = [s[x - 1, y], s[x, y - 1], s[x - 1, y - 1], s[x + 1, y - 1]]
                shape = 24 * sum(int(v > guess) << k for k, v in enumerate(around)) + level >> 1

                def ask(
                    node: int,
                    t: int,
                    start: int,
                    end: int,
                    up: int,
                    level: int = level,
                    hint: int = hint,
                    shape: int = shape,
                ) -> int:
                    keys = [(kind, node, rate) for kind in ((level, hint), shape) for rate in (4, 6)]
                    bit = bits.decide(limited(sum(chances.get(key, 32768) for key in keys) >> 2, 32, 65504))
                    for key in keys:
                        c = chances.get(key, 32768)
                        chances[key] = c + ((65535 - c) >> key[2]) if bit else c - (c >> key[2])
                    return bit

                wide = mean // (2 * bound + 1)
                stride_of = lambda k, mean=wide: mean * (12, 9, 11, 16, 28, 45)[min(k, 5)] + 32768 >> 16  # noqa: E731
                bins = Bins(guess, low, high, bound, grid)
                k = walk(bins.first, bins.last, bins.t, stride_of, ask, bool(bound))
                self.numbers[y, x] = value = bins.value(k)
                if bound:
                    value -= int(np.sign(k)) * ((3 * bound + 2) // 4)
                s[x, y], m[x, y] = value, abs(value - guess)
                mean += 4096 * abs(value - guess) - mean >> 6
                bias += 16384 * (value - guess) - bias >> 8
                cells[level, hint] = mean, bias
            s.end_row(y)
            m.end_row(y)
        self.bits = bits


def decay(x: Floats) -> Floats:
    u = np.minimum(x, F(16)) * F(1.44269504)
    i = u.astype(np.int32)
    f = i.astype(F) - u
    p = F(1) + f * (F(0.69306098) + f * (F(0.23946224) + f * (F(0.05325775) + f * F(0.00685973))))
    return (p.view(np.int32) - i * (1 << 23)).view(F)


def log(x: Floats) -> Floats:
    bits = x.view(np.int32)
    exponent = ((bits >> 23) - 127).astype(F)
    m: Floats = ((bits & 0x7FFFFF) | 0x3F800000).view(F) - F(1)
    inner = F(0.28795043) + m * (F(-0.13476604) + m * F(0.03180657))
    return (exponent * F(0.69314718) + m * (F(0.99939754) + m * (F(-0.49122156) + m * inner))).astype(F, copy=False)


def logistic(x: Any) -> Any:
    t = decay(np.minimum(np.abs(np.array([x], F)), F(11.5)))[0]
    t = t / (F(1) + t)
    return t if x < 0 else F(1) - t


def dot(a: Floats, b: Floats) -> Any:
    lane = np.zeros(8, F)
    for i in range(0, len(a), 8):
        lane += a[i : i + 8] * b[i : i + 8]
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))


class Filter:
    def __init__(self, number: int, references: int, idle: int) -> None:
        drift, *by_references = FILTERS[number]
        self.drift, self.idle = F(drift), idle
        self.at = [(plane, x + k, y) for plane, runs in by_references[references] for y, x, n in runs for k in range(n)]
        order = -(-len(self.at) // 8) * 8
        self.w = np.zeros(order, F)
        self.p = np.diag((np.arange(order) < len(self.at)).astype(F))

    def predict(self, planes: list[Plane], x: int, y: int) -> Any:
        base = [F(0.5) * (plane[x - 1, y] + plane[x, y - 1]) for plane in planes]
        self.input = np.zeros_like(self.w)
        for k, (plane, dx, dy) in enumerate(self.at):
            self.input[k] = planes[plane][x + dx, y + dy] - base[plane]
        self.prediction = base[0] + dot(self.w, self.input)
        return self.prediction

    def learn(self, value: Any, spread: Any, rest: Any) -> None:
        gain = np.zeros_like(self.w)
        for row, x in zip(self.p, self.input, strict=True):
            gain += row * x
        u = dot(gain, self.input)
        if not u >= 0:
            self.p = np.diag(np.full(len(gain), self.drift))
            return
        scale = F(1) / (spread + u)
        self.w += gain * ((value - self.prediction) * scale)
        self.p -= (gain * (scale * rest))[:, None] * gain
        self.p[np.diag_indices_from(self.p)] += self.drift


class Thorough:
    def __init__(
        self,
        stream: bytes,
        width: int,
        height: int,
        depth: int,
        low: int,
        high: int,
        references: list[Any],
        effort: int,
        bound: int = 0,
        grid: int = 0,
    ) -> None:
        self.unit, self.effort, self.low, self.high = F(256 / 2**depth), effort, low, high
        self.references, self.bits, self.bound, self.grid = references, Bits(stream), bound, grid
        self.numbers = np.empty((height, width), int)
        self.samples = Plane(width, height, 128, F)
        self.errors = Plane(width, height, 0, F)
        self.experts = n = len(IDLE[effort]) + 2
        self.filters = [Filter(k, len(references), idle) for k, idle in enumerate(IDLE[effort])]
        self.recent = [Plane(width, height, 0, F) for _ in range(n)]
        self.cells, self.slots = dict[Any, list[Any]](), dict[Any, list[Any]]()
        self.gates, self.weights = dict[Any, Any](), dict[Any, Floats]()
        for y in range(height):
            self.samples.data[y + MARGIN, :MARGIN] = self.samples[0, y - 1]
            for x in range(width):
                self.sample(x, y)
            for plane in (self.samples, self.errors):
                plane.end_row(y)
            for plane in self.recent:
                plane.end_row(y, left=False)

    def sample(self, x: int, y: int) -> None:
        unit, s = self.unit, self.samples
        steps = F(1) / unit
        planes = [s, *(r.samples for r in self.references)]
        floor, ceiling = F(self.low) * unit, F(self.high) * unit
        mean = [limited(f.predict(planes, x, y), floor, ceiling) for f in self.filters]
        other = planes[1] if self.references else Plane(s.width, s.height, 0, F)
        west, north, corner = (s[i, j] - other[i, j] for i, j in ((x - 1, y), (x, y - 1), (x - 1, y - 1)))
        edge = other[x, y] + limited(west + north - corner, min(west, north), max(west, north))
        mean.append(limited(edge, floor, ceiling))
        error = np.array(
            [
                (F(2) * (e[x - 1, y] + e[x, y - 1]) + (e[x - 1, y - 1] + e[x + 1, y - 1]))
                + F(0.5) * ((e[x - 2, y] + e[x, y - 2]) + (e[x + 2, y - 1] + e[x - 2, y - 1]))
                for e in self.recent
            ]
        )
        trust = F(1) / (error * error + F(0.5))
        total = weighted = F(0)
        for t, expected in zip(trust, mean, strict=False):
            total, weighted = total + t, weighted + t * expected
        means = np.array([*mean, weighted / total], F)
        hint = self.hint(x, y)
        keys = []
        for k in range(self.experts):
            activity = min(octaves(F(0.125) * error[k] + F(0.03125), 2) + 20, 63)
            keys.append((k, activity, hint))
            first = np.array((activity - 20 + 508) << 21, np.int32).view(F)[()]
            self.cells.setdefault(keys[-1], [first, 0])
        scale = np.array([self.cells[key][0] for key in keys], F) * F(0.7) + F(0.02)
        sharpness, spread, centre = F(1) / scale, scale[-1], means[-1]
        level = limited(octaves(spread, 2) + 20 >> 1, 0, 23)
        contexts = self.contexts(x, y, centre, level)
        n = self.bound
        guess = int(centre * steps + F(0.5)) if n else int(centre * steps)
        bins = Bins(guess, self.low, self.high, n, self.grid)
        share: dict[int, tuple[Any, Any]] = {  # below and above thresholds
            bins.first: (F(0), F(1)),
            bins.last + 1: (F(1), F(0)),
        }

        def share_at(t: int) -> tuple[Any, Any]:
            if t not in share:
                z = ((F(bins.origin + t * bins.step - n) - F(0.5)) * unit - means) * sharpness
                tail = decay(np.abs(z))
                small = tail / (F(1) + tail)
                large = F(1) - small
                share[t] = np.where(z < 0, small, large), np.where(z < 0, large, small)
            return share[t]

        def ask(node: int, t: int, start: int, end: int, up: int) -> int:
            below, above = share_at(t)
            places = [node, node] + [8 * (bins.origin + t * bins.step) + 2 * min(end - start, 3) + up] * 2
            if n and node in (49, 0):
                (below, above), (below_end, above_end) = share_at(0), share_at(1)
                inside = np.where(below > above, above - above_end, below_end - below)
                yes, no = (
                    (inside, below + above_end) if node == 49 else (above_end + F(0) * above, below + F(0) * above_end)
                )
                yes, no = np.broadcast_to(yes, self.experts), np.broadcast_to(no, self.experts)
                places[2:] = [8 * bins.origin + (node == 0)] * 2
            elif up:
                yes, no = above - share[end][1], share[start][1] - above
            else:
                yes, no = share[end][0] - below, below - share[start][0]
            opinion = log(np.maximum(yes, F(2e-5)) / np.maximum(no, F(2e-5)))
            slots, total = [], F(0)
            for c in range(4):
                v = (contexts[c] + places[c] * 0x27D4EB2F) & U32
                v ^= v >> 15
                slots.append(self.slots.setdefault((c, (v * 0x9E3779B1 & U32) >> 14), [F(0), 0]))
                total += self.gates.setdefault((node, c), F(1)) * slots[-1][0]
            first = np.full(self.experts, F(0.15) / F(self.experts - 1))
            first[-1] = 0.35
            by_hint = self.weights.setdefault(("hint", node, hint), first.copy())
            by_level = self.weights.setdefault(("level", node, level), first.copy())
            for part in (by_hint + by_level) * opinion:
                total += part
            chance = logistic(total)
            bit = self.bits.decide(limited(int(chance * F(65536)), 1, 65535))
            miss = F(bit) - chance
            change = F(0.002) * miss * opinion
            by_hint += change
            by_level += change
            for c, slot in enumerate(slots):
                self.gates[node, c] += F(0.01) * miss * slot[0]
                usual = F(1) / (F(slot[1]) + F(1.5))
                slot[0] += miss * (F(0.01) + F(0.2) * usual if c < 2 else F(0.05) + F(0.6) * usual)
                slot[1] = min(slot[1] + 1, 255)
            return bit

        strides = [F(v) for v in (1.1, 0.8, 1, 1.5, 2.5, 4)]
        per_step = F(1) / F(bins.step)
        stride_of = lambda k: int(spread * steps * strides[min(k, 5)] * per_step + F(0.5))  # noqa: E731
        k = walk(bins.first, bins.last, bins.t, stride_of, ask, bool(n))
        self.numbers[y, x] = bins.value(k)
        value = F(self.numbers[y, x]) * unit
        missed, rest, noise = np.abs(value - means), F(1), spread
        if n:
            value, missed, rest = self.find(bins, k, means, scale)
            noise = spread + F(0.4) * F(n) * unit
        s[x, y] = value
        self.errors[x, y] = missed[-1]
        for plane, key, miss in zip(self.recent, keys, missed, strict=True):
            plane[x, y] = miss
            cell = self.cells[key]
            cell[1] = min(cell[1] + 1, 255)
            cell[0] += (miss - cell[0]) * (F(1) / (F(cell[1]) + F(1.5)))
        for f in self.filters:
            if (x + 2 * y) & f.idle == 0:
                f.learn(value, noise, rest)

    def find(self, bins: Bins, k: int, means: Floats, scale: Floats) -> tuple[Any, Floats, Any]:
        """The sample as others see it, the experts' errors, and `rest`."""
        first, last = (bins.origin + k * bins.step + off for off in (-bins.bound, bins.bound))
        start = (F(max(first, self.low)) - F(0.5)) * self.unit
        end = (F(min(last, self.high)) + F(0.5)) * self.unit
        width = end - start
        b, c = F(1.3862944) * scale, F(0.7213475) * (F(1) / scale)
        before, after = means - start, end - means
        near = np.maximum(np.maximum(-before, -after), F(0))
        left = np.minimum(np.maximum(before, F(0)), width)
        right = width - left
        p, q = decay(left * c), decay(right * c)
        mass = F(2) - p - q
        flat = width * c < F(0.05)
        with np.errstate(all="ignore"):
            size = np.where(flat, (left * left + right * right) / (F(2) * width), b - (left * p + right * q) / mass)
            shift = np.where(flat, F(0.5) * (right - left), (b * (p - q) + left * p - right * q) / mass)
        side = near[-1] if before[-1] < 0 else -near[-1]
        a = F(24) * b[-1] * b[-1]
        return limited(means[-1] + shift[-1] + side, start, end), near + size, a / (a + width * width)

    def hint(self, x: int, y: int) -> int:
        if not self.references:
            return 0
        r = self.references[0].errors
        below = r[x, y + 1] if y + 1 < r.height else r[x, y]
        error = F(0.5) * r[x, y] + F(0.125) * ((r[x + 1, y] + below) + (r[x - 1, y] + r[x, y - 1]))
        if len(self.references) > 1:
            error = F(0.5) * (error + self.references[1].errors[x, y])
        return min(octaves(error + F(0.0625), 2) + 16 >> 1, 15)

    def contexts(self, x: int, y: int, centre: Any, level: int) -> list[int]:
        s = self.samples
        w, n, nw, ne = s[x - 1, y], s[x, y - 1], s[x - 1, y - 1], s[x + 1, y - 1]
        around = [w, n, nw, ne, s[x - 2, y], s[x, y - 2]]

        def fifth(d: Any) -> int:
            return sum([bool(d >= -8), bool(d >= -2), bool(d > 2), bool(d > 8)])

        seen = [int(r.numbers[y, x]) for r in self.references] + [0, 0]
        keys = [
            8 * sum(int(v > centre) << k for k, v in enumerate(around)) + level // 3,
            25 * fifth(w - n) + 5 * fifth(n - ne) + fifth(w - nw),
            seen[0],
            seen[0] << 16 | seen[1],
        ]
        return [(8 * key + c) * 0x85EBCA6B & U32 for c, key in enumerate(keys)]


@pytest.mark.parametrize(
    ("effort", "channels", "depth"),
    [(1, 3, 8), (1, 4, 12), (2, 3, 8), (3, 1, 8), (4, 3, 10), (5, 3, 8), (5, 4, 16), (6, 2, 8), (7, 3, 8), (9, 3, 8)],
)
def test_the_page_is_enough_to_decode(effort: int, channels: int, depth: int) -> None:
    pixels = photo_like(effort, channels, depth)
    data = calotype.load(lossless=True).encode(Image(pixels, depth), effort=effort)
    assert by_the_page(data, pixels, depth, layout.PLANES) == effort


@pytest.mark.parametrize(
    ("effort", "channels", "depth", "bound"),
    [
        (1, 3, 8, 1), (1, 4, 12, 9), (2, 3, 8, 2), (3, 1, 8, 1), (4, 3, 10, 30), (5, 3, 8, 3), (5, 4, 16, 700),
        (6, 2, 8, 5), (7, 3, 8, 1), (8, 3, 8, 120), (9, 3, 9, 2),
    ],
)  # fmt: skip
def test_the_page_is_enough_to_decode_with_a_bound(effort: int, channels: int, depth: int, bound: int) -> None:
    pixels = photo_like(effort, channels, depth)
    data = calotype.encode(Image(pixels, depth), effort=effort, max_error=bound)
    found = calotype.decode_image(data).pixels
    assert np.abs(found.astype(int) - pixels).max() <= bound
    assert by_the_page(data, found, depth, layout.BOUNDED) == effort


def test_the_page_is_enough_to_decode_on_a_grid() -> None:
    """Which an encoder takes where it is smaller; here, where it may be, it is asked for."""
    pixels = photo_like(3, 3, 8)
    for effort in (1, 5):
        record = prism._code_planes(pixels, prism.Way(8, effort, layout.Bound(2, grid=1)), 0, 1).record
        found = prism._decode_tile(open_record(record)[1], pixels.shape, 8, 1)
        assert set(np.unique(found)) <= {*range(0, 256, 5), *pixels.min((0, 1)), *pixels.max((0, 1))}
        assert np.abs(found.astype(int) - pixels).max() <= 2
        check_planes(open_record(record)[1], found, 8)


def photo_like(seed: int, channels: int, depth: int) -> Any:
    """Pixels (14, 17, channels) of a texture that planes share."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:14, :17]
    grain = 1.0 if depth < 16 else 0.1  # noise of 16 bits would be stored
    texture = 40 * np.sin(x / 3 + y / 5) + grain * generator.normal(0, 6, (14, 17))
    planes_ = [128 + (1 + c / 4) * texture + grain * generator.normal(0, 2, (14, 17)) for c in range(channels)]
    pixels = empty((14, 17, channels), depth)
    pixels[:] = np.clip(np.stack(planes_, -1) / 256 * (1 << depth), 0, (1 << depth) - 1)
    return pixels


def by_the_page(data: bytes, pixels: Any, depth: int, kind: int) -> int:
    """Decode a file of one tile in planes, compare it, and say its effort."""
    [chunk] = [chunk for chunk in calotype.container.unpack(data)[1] if chunk.tag == "P"]
    _, [record], _ = layout.TILES.parse(chunk.body)
    _, body = open_record(record)
    assert body[0] == kind
    return check_planes(body, pixels, depth)


def check_planes(body: bytes, pixels: Any, depth: int) -> int:
    channels = pixels.shape[2]
    tile = layout.CodedPlanes.parse(body, depth, channels)
    colours = [*layout.ORDERS[tile.order]] if channels > 2 else [0]
    bits = max(8, *(int(plane.values.high).bit_length() for plane in tile.planes[: len(colours)]))
    known: list[Any] = []
    for channel, plane in zip([*colours, *range(len(colours), channels)], tile.planes, strict=True):
        is_alpha = channel >= len(colours)
        references, bound = ([], layout.EXACT) if is_alpha else (known[::-1], tile.bound)
        codec = Quick if tile.effort == 1 else Thorough
        low, high = plane.values.range
        numbers_depth = bits if bound.error else plane.values.depth(depth)
        decoded = codec(
            plane.stream, 17, 14, numbers_depth, low, high, references, tile.effort, bound.error, bound.grid
        )
        np.testing.assert_array_equal(plane.values.samples(decoded.numbers), pixels[..., channel])
        assert 0 <= decoded.bits.place - len(plane.stream) <= 4
        known.append(decoded)
    return tile.effort
