"""Fits adaptive tables to images: which neighbours matter, tables, what is learned before a file begins.

It runs the coder itself over the images, a few times, learning ever more slowly; nothing here is needed to code.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .adaptive import FEATURES, FRIENDS, LEVELS, LISTS, SIGN_TABLES, SIGNS, Adaptive, Evidence, Field, Learned, Part
from .tables import PRECISION, Tables

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int32]

PASSES = 6
TABLES_PER_INDEX = 2
# how fast a coder learns: bias, slope, common, sign; keep, common keep; prior, common prior; and where rows are quiet.
# Chosen on tiles.
RATES = (6.0, 2.0, 4.0, 1.0, 0.99, 0.985, 10.0, 40.0, 2e-3)
_FITTING_RATES = (0.5, 0.5, 1.0, 0.5, 1.0, 1.0, 200.0, 800.0, 2e-3)
_FITTING_START = Evidence(0.0, 0.0, 50.0)

_CLOSE = 12, 6  # channels in each list
_AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1), (-2, 0), (2, 0), (0, -2), (0, 2))
_SIGN_GAIN = 0.025  # signs that are cheaper by less than this are not worth the time
LARGEST = 1024  # levels that tables may hold, and one for what lies beyond
_TAIL = 2.0**-PRECISION  # levels that are rarer than this are escaped
_ENOUGH = 3000  # symbols that a table is made of; with fewer, those of its neighbours count by half
_DOUBT = 30.0  # symbols that a smooth distribution counts for


class Coded(NamedTuple):
    """One call of a coder: symbols (channels of the parts, rows, columns) and their table numbers."""

    parts: tuple[Part, ...]
    symbols: npt.NDArray[np.integer[Any]]
    indices: npt.NDArray[np.integer[Any]]


Latents = Sequence[Coded]
"""All calls of one array of latents, in their order."""


def fit(images: Sequence[Latents], side: int, sigmas: Floats) -> Adaptive:
    """Fit to latents that are coded in cells of side x side, with tables of Gaussians of width `sigmas` by index."""
    expected, power = _by_index(images, sigmas.size)
    friend, friend_weight, sign = _neighbours(images, side, expected, power)
    channels = friend.shape[0]
    axis = np.arange(TABLES_PER_INDEX * sigmas.size) / TABLES_PER_INDEX
    widths = np.exp(np.interp(axis, np.arange(sigmas.size), np.log(sigmas)))
    counts = np.zeros((axis.size, LARGEST))
    for coded in _all(images):
        levels = np.minimum(abs(coded.symbols.astype(np.int32)), LARGEST - 1)
        cells = TABLES_PER_INDEX * LARGEST * coded.indices.ravel().astype(np.int32) + levels.ravel()
        counts += np.bincount(cells, minlength=counts.size).reshape(counts.shape)
    tables, gradient, fisher = _tables(counts, widths)
    model = Adaptive(
        tables=tables,
        gradient=gradient,
        fisher=fisher,
        friend=friend,
        friend_weight=friend_weight,
        sign=sign,
        sign_known=np.ones(channels, np.uint8),
        expected=expected.astype(np.float32),
        slope=np.zeros((channels, FEATURES + 1), np.float32),
        common=np.zeros((2, FEATURES), np.float32),
        sign_weight=np.zeros((channels, SIGNS), np.float32),
        rates=np.array(_FITTING_RATES, np.float32),
    )
    learned = model.start(_FITTING_START)
    for _ in range(PASSES):
        counts, signs = np.zeros_like(counts), np.zeros((channels, 2))
        for latents in images:
            _code(model, latents, side, learned, counts, signs)
        tables, gradient, fisher = _tables(counts, widths)
        model = replace(model, tables=tables, gradient=gradient, fisher=fisher)
    number, bits = signs.T
    return replace(
        model,
        sign_known=(bits < (1 - _SIGN_GAIN) * number).astype(np.uint8),
        slope=learned["slope"][:, : FEATURES + 1].copy(),
        common=learned["common"],
        sign_weight=learned["sign_weight"],
        rates=np.array(RATES, np.float32),
    )


def _all(images: Sequence[Latents]) -> Iterator[Coded]:
    return (coded for latents in images for coded in latents)


def _code(model: Adaptive, latents: Latents, side: int, learned: Learned, counts: Floats, signs: Floats) -> None:
    """Code one array of latents, learning.

    Adds how often each level came in each table to `counts` (tables, LARGEST), the escaped as the last; and the number
    of signs of each channel and their bits to `signs` (channels, 2).
    """
    _, rows, columns = latents[0].symbols.shape
    field = Field(model, rows * side, columns * side, side, learned)
    tables = model.tables
    for coded in latents:
        _, places, _ = field.at(coded.parts).locate(coded.symbols, coded.indices)
        found = np.bincount(places, minlength=tables.entry_bits.size)
        for table, levels in enumerate(counts):
            start, size = tables.entry_starts[table], tables.lengths[table]
            levels[:size] += found[start : start + size]
            levels[-1] += found[start + size]
        channels = [part.channel + number for part in coded.parts for number in range(part.channels)]
        at = 0
        for channel, symbols in zip(channels, coded.symbols, strict=True):  # levels come first, then signs
            number = np.count_nonzero(symbols)
            at += symbols.size + number
            signs[channel] += number, tables.entry_bits[places[at - number : at]].sum()


def _by_index(images: Sequence[Latents], indices: int) -> tuple[Floats, Floats]:
    """Mean of the level and of its square by index."""
    sums = np.zeros((3, indices))
    for coded in _all(images):
        index, levels = coded.indices.ravel(), abs(coded.symbols.ravel()).astype(np.float64)
        for row, weights in zip(sums, (np.ones_like(levels), levels, levels**2), strict=True):
            row += np.bincount(index, weights, indices)
    number = np.maximum(sums[0], 1)
    return np.maximum(sums[1] / number, 1e-5), np.maximum(sums[2] / number, 1e-5)


# --- neighbours -------------------------------------------------------------------------------------------------------


def _whole(latents: Latents, side: int, channels: int) -> tuple[Integers, Integers]:
    """Symbols and indices (channels, height, width) of all parts."""
    _, rows, columns = latents[0].symbols.shape
    symbols, index = (np.zeros((channels, side * rows, side * columns), np.int32) for _ in range(2))
    for coded in latents:
        first = 0
        for part in coded.parts:
            own = slice(part.channel, part.channel + part.channels)
            there = slice(first, first + part.channels)
            symbols[own, part.row :: side, part.column :: side] = coded.symbols[there]
            index[own, part.row :: side, part.column :: side] = coded.indices[there]
            first += part.channels
    return symbols, index


def _neighbours(
    images: Sequence[Latents], side: int, expected: Floats, power: Floats
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32], npt.NDArray[np.int16]]:
    """Lists of channels with their weights, and neighbours that tell signs, by correlations over all images."""
    channels = max(part.channel + part.channels for coded in images[0] for part in coded.parts)
    offsets = [(0, 0), *_AROUND]
    here, around = np.zeros((channels, channels)), np.zeros((channels, channels))
    signed = np.zeros((len(offsets), channels, channels))
    for latents in images:
        symbols, index = _whole(latents, side, channels)
        height, width = symbols.shape[1:]
        if min(height, width) < 5:
            continue
        spread = np.sqrt(np.maximum(power[index] - expected[index] ** 2, 1e-4))
        surprise = np.clip((abs(symbols) - expected[index]) / (spread + 0.15), -3, 3).astype(np.float32)
        lean = np.clip(symbols / (np.sqrt(power[index]) + 0.15), -3, 3).astype(np.float32)

        def shifted(x: npt.NDArray[np.float32], row: int, column: int) -> npt.NDArray[np.float32]:
            there = x[:, 2 + row : x.shape[1] - 2 + row, 2 + column : x.shape[2] - 2 + column]
            return there.reshape(channels, -1)

        middle = shifted(surprise, 0, 0)
        here += middle @ middle.T
        around += middle @ np.sum([shifted(surprise, *offset) for offset in offsets[1:5]], 0).T
        for number, offset in enumerate(offsets):
            signed[number] += shifted(lean, 0, 0) @ shifted(lean, *offset).T
    size = np.sqrt(np.maximum(np.diag(here), 1e-9))
    here, around = (matrix / (size[:, None] * size) for matrix in (here, around))
    size = np.sqrt(np.maximum(np.diag(signed[0]), 1e-9))
    signed = abs(signed) / (size[:, None] * size)
    for matrix in (here, signed[0]):
        np.fill_diagonal(matrix, 0)

    friend = np.zeros((channels, LISTS, FRIENDS), np.int16)
    weight = np.zeros((channels, LISTS, FRIENDS), np.float32)
    for number, (matrix, most) in enumerate(zip((here, around), _CLOSE, strict=True)):
        count = min(most, channels)
        friend[:, number, :count], weight[:, number, :count] = _closest(matrix, count)

    best = np.argsort(-signed.transpose(1, 2, 0).reshape(channels, -1), 1, kind="stable")[:, :SIGNS]
    sign = np.zeros((channels, SIGNS, 3), np.int16)
    sign[:, : best.shape[1], 0] = best // len(offsets)
    sign[:, : best.shape[1], 1:] = np.array(offsets)[best % len(offsets)]
    return friend, weight, sign


def _closest(matrix: Floats, count: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Columns of the largest entries of each row, largest first, and what they are to the first; at least a little."""
    order = np.argsort(-matrix, 1, kind="stable")[:, :count]
    values = np.maximum(np.take_along_axis(matrix, order, 1), 1e-3)
    return order, values / values[:, :1]


# --- tables -----------------------------------------------------------------------------------------------------------


def _tables(counts: Floats, widths: Floats) -> tuple[Tables, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Tables of levels and signs, gradient and its mean square, from how often each level came."""
    shares = np.array([_share(counts, table, width) for table, width in enumerate(widths)])
    pmfs: list[Floats] = []
    for share in shares:
        beyond = np.cumsum(share[::-1])[::-1]
        pmfs.append(share[: min(max(2, int((beyond >= _TAIL).sum())), LARGEST - 1)])
    logits = (np.arange(SIGN_TABLES) - SIGN_TABLES / 2 + 0.5) / 4
    chances = 1 / (1 + np.exp(-logits))
    signs = [np.array([1 - chance, chance]) for chance in chances]
    tables = Tables.from_pmfs(pmfs + signs, [0] * (len(pmfs) + len(signs)))

    floor = 2.0**-22  # an escape and its byte
    shares = np.concatenate((shares[:, : LEVELS - 1], shares[:, LEVELS - 1 :].sum(1, keepdims=True)), 1)
    logarithms = np.log(np.maximum(shares, floor))
    step = np.gradient(np.arange(len(widths)) / TABLES_PER_INDEX)
    gradient = np.clip(np.gradient(logarithms, axis=0) / step[:, None], -2, 2)
    fisher = (shares * gradient**2).sum(1)
    return tables, gradient.astype(np.float32), fisher.astype(np.float32)


def _share(counts: Floats, table: int, width: float) -> Floats:
    """Probabilities of levels 0 .. LARGEST - 1 in a table; the last one is what lies beyond."""
    found, reach = counts[table].copy(), 0
    while found.sum() < _ENOUGH and reach < 6:
        reach += 1
        for near in (table - reach, table + reach):
            if 0 <= near < len(counts):
                found += 0.5 * counts[near]
    share: Floats = (found + _DOUBT * _smooth(width)) / (found.sum() + _DOUBT)
    level = np.arange(4, LARGEST - 1)  # large levels are few: averaged over a fifth of their size to both sides
    half = np.maximum(1, level // 5)
    low, high = np.maximum(1, level - half), np.minimum(LARGEST - 2, level + half) + 1
    sums = np.concatenate(([0.0], np.cumsum(share)))
    share[4:-1] = (sums[high] - sums[low]) / (high - low)
    share /= share.sum()
    return share


@functools.cache
def _smooth(width: float) -> Floats:
    """Levels of a rounded variable, half normal and half Laplacian, of one standard deviation."""
    edges = np.arange(LARGEST) + 0.5
    normal = np.array([math.erfc(edge / width / math.sqrt(2)) for edge in edges])
    beyond = (normal + np.exp(-edges * math.sqrt(2) / width)) / 2
    share: Floats = -np.diff(beyond, prepend=1.0)
    share[-1] += beyond[-1]
    share.setflags(write=False)
    return share
