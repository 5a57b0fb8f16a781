"""What the networks' iterations leave of an image: DCT coefficients, told with thresholds that fall. No PyTorch here.

Glossary: the *coefficients* of a patch are those of an orthonormal DCT in a luma-chroma space, the strongest of all, in
quarters of a level of 255 or in something coarser (`analyse`); one is *plain* as long as it is only known to lie within
the threshold; the *expected* magnitude of each is foreseen from the bits of the networks' iterations by an exact
network, in quarters of an octave.

An iteration is one pass with one threshold, after Shapiro 1993 (Embedded image coding using zerotrees, sec. IV): plain
coefficients tell how many thresholds they hold, others halve what they lie in once that is as wide as the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...coding import Tables
from ...coding.coder import Coder, Given, Integers, Model

UNITS = 4 * 255  # of a coefficient, in samples of [0, 1]
THRESHOLDS = (800, 566, 400, 283, 200, 141, 100, 71, 50, 35, 25, 18, 12, 9, 6)  # in units; half octaves
OCTAVES = (39, 37, 35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 14, 13, 10)  # their logarithms, in quarters
LARGEST = 2**15 - 1 - THRESHOLDS[0]  # of a coefficient: states are 16 bits
PLACED = 0.45  # where in what it lies in a coefficient is shown: smaller ones are likelier

_EXPECTED = 16  # classes of what is expected, half an octave each
_BELOW = 22  # quarters of an octave under the threshold where the first one ends
_AROUND = np.array([1, 4, 8, 16, 32])  # eighths of a threshold: classes of what is known around a coefficient
TABLES = _EXPECTED * (len(_AROUND) + 1) + 1  # the last for halves
_SMOOTH = np.array([0.05, 1.0, 0.05])  # added to counts
_ROWS = 16  # of patches, that are worked on at once: bounds memory

Levels = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
_COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


class Refinement:
    """What is known of the coefficients of an image; one call of `code` for each iteration."""

    def __init__(self, expected: npt.NDArray[np.uint8], places: npt.NDArray[np.int16], tables: Tables) -> None:
        """Begin with nothing known of coefficients (h, w, k) but what is expected; `places` (k, 4) as in `analyse`."""
        self._expected = np.maximum(expected, places[:, 3].astype(np.uint8)) - places[:, 3].astype(np.uint8)
        self.low = np.zeros(expected.shape, np.int16)
        """Signed: the smaller magnitude that a coefficient may have. 0: plain."""
        self.width = np.zeros(expected.shape, np.int16)
        """Of what it may lie in."""
        self._beside = _beside(places)
        self._tables = tables
        self._number = 0

    def code(self, coder: Coder, given: Levels | None) -> None:
        """Code the next pass over coefficients (h, w, k), None while decoding."""
        threshold, octaves = THRESHOLDS[self._number], OCTAVES[self._number]
        known = np.abs(self.low).astype(np.int32) + self.width // 2
        most, found = LARGEST // threshold, []
        for rows in _bands(len(self.low)):
            low, width = self.low[rows], self.width[rows]
            plain, wide = low == 0, (width >= threshold) & (low != 0)
            index = self._classes(known, rows, threshold, octaves)[plain]
            held = None if given is None else _held(given[rows][plain], threshold)
            held = coder.code(held, self._tables, index)
            magnitude, half = np.abs(low[wide]).astype(np.int32), width[wide] // 2
            upper = None if given is None else (np.abs(given[rows][wide]) >= magnitude + half).astype(np.int32)
            upper = coder.code(upper, self._tables, np.full(magnitude.shape, TABLES - 1, np.int32))
            found.append((rows, plain, np.clip(held, -most, most), wide, half, upper))
        for rows, plain, held, wide, half, upper in found:
            low, width = self.low[rows], self.width[rows]  # views
            low[wide] += (np.sign(low[wide]) * upper * half).astype(np.int16)
            width[wide] = np.where(upper == 1, width[wide] - half, half)
            low[plain] = held * threshold
            width[plain] = np.where(held != 0, threshold, 0)
        self._number += 1

    def shown(self, rows: slice, columns: slice) -> Floats:
        """Coefficients as far as they are known, in samples of [0, 1]."""
        low, width = self.low[rows, columns].astype(np.float32), self.width[rows, columns].astype(np.float32)
        shown: Floats = np.float32(1 / UNITS) * (low + np.sign(low) * np.float32(PLACED) * width)
        return shown

    def _classes(self, known: Int32, rows: slice, threshold: int, octaves: int) -> Int32:
        """Table of each coefficient of some rows: by what is expected, and by what is known around it."""
        expected = np.clip((self._expected[rows].astype(np.int32) - octaves + _BELOW) // 2, 0, _EXPECTED - 1)
        at = np.arange(rows.start, rows.stop)
        above, below = known[np.maximum(at - 1, 0)], known[np.minimum(at + 1, len(known) - 1)]
        here = known[rows]
        around = above + below
        around[:, 1:] += here[:, :-1]
        around[:, :-1] += here[:, 1:]
        within = np.concatenate([here, np.zeros_like(here[..., :1])], -1)
        for beside in self._beside:
            around += within[..., beside]
        classes: Int32 = expected * (len(_AROUND) + 1) + np.searchsorted(_AROUND * threshold, 8 * around, side="right")
        return classes


class Counter:
    """In a coder's place: counts symbols for their tables."""

    REACH = 8  # further ones are escapes

    def __init__(self) -> None:
        self.counts = np.zeros((TABLES, 2 * self.REACH + 1), np.int64)

    def code(self, symbols: Given | None, model: Model, parameters: Integers) -> Int32:
        assert isinstance(symbols, np.ndarray)
        inside = np.abs(symbols) <= self.REACH
        np.add.at(self.counts, (parameters[inside], symbols[inside] + self.REACH), 1)
        return symbols.astype(np.int32)

    def tables(self) -> Tables:
        """Tables as they were counted; of either sign the same."""
        counts = self.counts + 0.0
        counts[:-1] = (counts[:-1] + counts[:-1, ::-1]) / 2
        reach, pmfs = self.REACH, []
        for count in counts[:-1]:
            usual = count[reach - 1 : reach + 2] + _SMOOTH
            far = np.concatenate([count[: reach - 1], count[reach + 2 :]])
            pmf = count / max(1.0, count.sum())
            if far.sum() < 1e-3 * count.sum() or count.sum() < 1:
                pmfs.append(usual / (usual.sum() * 1.00005 + far.sum()))
            else:
                pmfs.append((pmf + 1e-4) / (1.0001 + 1e-4 * len(pmf)))
        halves = counts[-1, reach : reach + 2] + 1
        pmfs.append(halves / halves.sum())
        return Tables.from_pmfs(pmfs, [-(len(pmf) // 2) if len(pmf) != 2 else 0 for pmf in pmfs])


def untaught() -> Tables:
    """Before anything was counted."""
    return Counter().tables()


# --- coefficients -----------------------------------------------------------------------------------------------------


def analyse(missing: Floats, side: int, places: npt.NDArray[np.int16]) -> Levels:
    """Samples (1, 3, h, w) in patches of that side -> coefficients (h / side, w / side, k).

    Each of the `places` (k, 4) is a colour, a row and a column, and how much coarser it is told, in quarters of an
    octave.
    """
    _, _, height, width = missing.shape
    colours = np.einsum("kc,chw->khw", _COLOUR.astype(np.float32), missing[0])
    blocks = colours.reshape(3, height // side, side, width // side, side).transpose(1, 3, 0, 2, 4)
    basis = _basis(side)
    found = (basis @ blocks @ basis.T)[:, :, places[:, 0], places[:, 1], places[:, 2]]
    levels: Levels = np.clip(np.rint(found * (UNITS / _coarser(places))), -LARGEST, LARGEST).astype(np.int16)
    return levels


def synthesise(coefficients: Floats, side: int, places: npt.NDArray[np.int16]) -> Floats:
    """Coefficients (h, w, k) -> samples (1, 3, h * side, w * side)."""
    height, width, _ = coefficients.shape
    blocks = np.zeros((height, width, 3, side, side), np.float32)
    blocks[:, :, places[:, 0], places[:, 1], places[:, 2]] = coefficients * _coarser(places)
    basis = _basis(side)
    colours = (basis.T @ blocks @ basis).transpose(2, 0, 3, 1, 4).reshape(3, height * side, width * side)
    samples: Floats = np.einsum("kc,khw->chw", _COLOUR.astype(np.float32), colours)[None]
    return samples


def _coarser(places: npt.NDArray[np.int16]) -> Floats:
    factors: Floats = np.exp2(places[:, 3] / 4).astype(np.float32)
    return factors


def _basis(side: int) -> Floats:
    """DCT-II, orthonormal: frequencies x samples."""
    k = np.arange(side)
    basis = np.cos((2 * k + 1) * k[:, None] * np.pi / (2 * side)) * np.sqrt(2 / side)
    basis[0] /= np.sqrt(2)
    result: Floats = basis.astype(np.float32)
    return result


def _beside(places: npt.NDArray[np.int16]) -> list[npt.NDArray[np.int64]]:
    """For each of four neighbours in frequency: its number for every coefficient, k where there is none."""
    number = {tuple(place): at for at, place in enumerate(places[:, :3].tolist())}
    steps = ((-1, 0), (1, 0), (0, -1), (0, 1))
    return [
        np.array(
            [
                number.get((colour, row + down, column + right), len(places))
                for colour, row, column in places[:, :3].tolist()
            ]
        )
        for down, right in steps
    ]


def _held(given: Levels, threshold: int) -> Int32:
    """How many thresholds coefficients hold."""
    held: Int32 = np.sign(given) * (np.abs(given.astype(np.int32)) // threshold)
    return held


def _bands(height: int) -> Iterator[slice]:
    for top in range(0, height, _ROWS):
        yield slice(top, min(top + _ROWS, height))
