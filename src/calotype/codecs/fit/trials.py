"""Trials of single latents, since what each is rounded to best depends on the others.

A latent is moved by one, against the slope of the loss, and stays there if the loss falls. Many are tried at once, so
far from each other that no two change the same pixel or the same likelihood: one look at the loss of each place then
tells what every one of them brings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .architecture import FEATURE_GRIDS, LATENT_MAX, NEIGHBOURS
from .fitter import Fitter, Floats, Iteration

if TYPE_CHECKING:
    from .torch_fitter import TorchFitter

APART = 7  # positions of a grid, at least, between latents that are tried together
SLOPES_EVERY = 16  # looks
UNSURE = 0.02  # added to how far a latent was rounded: one that was not may be wrong all the same

REACH = max(max(-row, abs(column)) for row, column in NEIGHBOURS)

Index = NDArray[np.intp]


class Span(NamedTuple):
    """Rows or columns around a place."""

    first: int
    last: int


def pixels_of(k: int) -> Span:
    """Those that a latent of grid k at (0, 0) changes: doubled k times by filters of 8 taps, then 3x3 layers, two."""
    far = (1 << k) - 1
    return Span(-3 * far - 2, 4 * far + 2)


class Squares:
    """Parts of a plane around some places, one each; they do not overlap."""

    def __init__(self, shape: tuple[int, ...], rows: Index, columns: Index, down: Span, across: Span) -> None:
        self._rows, rows_inside = self._around(rows, down, shape[0])
        self._columns, columns_inside = self._around(columns, across, shape[1])
        self._inside = rows_inside[:, :, None] & columns_inside[:, None, :]

    @staticmethod
    def _around(at: Index, span: Span, size: int) -> tuple[Index, NDArray[np.bool_]]:
        index = at[:, None] + np.arange(span.first, span.last + 1)
        return np.clip(index, 0, size - 1), (index >= 0) & (index < size)

    def sums(self, plane: Floats) -> NDArray[np.float64]:
        """Of each square."""
        values = plane[self._rows[:, :, None], self._columns[:, None, :]]
        return np.asarray(np.sum(values, axis=(1, 2), where=self._inside, dtype=np.float64))

    def copy(self, which: NDArray[np.bool_], source: Floats, to: Floats) -> None:
        """Some squares of one plane into another."""
        index = self._rows[which][:, :, None], self._columns[which][:, None, :]
        to[index] = source[index]


def largest_around(plane: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Of the numbers up to `reach` rows and columns away, none below 0."""
    for _ in range(2):
        padded, width = np.pad(plane.T, [(reach, reach), (0, 0)]), 1
        while width < 2 * reach + 1:
            step = min(width, 2 * reach + 1 - width)
            padded, width = np.maximum(padded[:-step], padded[step:]), width + step
        plane = padded
    return plane


class Trials:
    """Of the latents of a fitter, for given networks; they are rounded by it.

    Parameters
    ----------
    lmbda : float
        As for the iterations before.
    """

    def __init__(self, fitter: Fitter | TorchFitter, parameters: Floats, lmbda: float) -> None:
        self._fitter, self._parameters, self._lmbda = fitter, parameters, lmbda
        self._before = fitter.latents
        self._latents = [np.floor(grid + np.float32(0.5)) for grid in self._before]
        self._tried = [np.zeros(grid.shape, bool) for grid in self._latents]
        self._gains = [np.inf] * len(self._latents)  # of the last look at each grid
        self._looks = 0

    @property
    def exhausted(self) -> bool:
        """Whether the last look at each grid brought nothing."""
        return max(self._gains) <= 0

    def look(self) -> float:
        """Try some latents of the grid that brought most at its last look; returns by how much the loss fell."""
        if self._looks % SLOPES_EVERY == 0:
            self._take_slopes()
        self._looks += 1
        k = int(np.argmax(self._gains))
        self._gains[k] = self._try(k, *self._candidates(k))
        return self._gains[k]

    def _take_slopes(self) -> None:
        self._fitter.latents = self._latents
        self._fitter.iterate(Iteration(self._lmbda, hard=1), self._parameters)
        self._errors, self._bits, self._slopes = self._fitter.errors, self._fitter.bits, self._fitter.gradient

    def _to(self, k: int) -> Floats:
        """Where each latent of a grid would move."""
        return np.asarray(np.clip(self._latents[k] - np.sign(self._slopes[k]), -LATENT_MAX, LATENT_MAX))

    def _candidates(self, k: int) -> tuple[Index, Index]:
        """Rows and columns of those that promise most in their surroundings, none of them tried before."""
        rounded_by = np.abs(self._before[k] - self._latents[k])
        promise = (np.abs(self._slopes[k]) * (rounded_by + UNSURE)).astype(np.float64)
        promise *= 1 + np.arange(promise.size).reshape(promise.shape) * 2.0**-50  # no two are equal
        promise[self._tried[k]] = 0
        rows, columns = np.nonzero((promise > 0) & (promise == largest_around(promise, APART - 1)))
        self._tried[k][rows, columns] = True
        return rows, columns

    def _try(self, k: int, rows: Index, columns: Index) -> float:
        """Moves those that should be; returns by how much the loss falls."""
        moved = self._latents[k].copy()
        moved[rows, columns] = self._to(k)[rows, columns]
        self._fitter.latents = [*self._latents[:k], moved, *self._latents[k + 1 :]]
        self._fitter.iterate(Iteration(self._lmbda, hard=1, only_loss=True), self._parameters)
        errors, bits = self._fitter.errors, self._fitter.bits
        change, squares = np.zeros(len(rows)), list[tuple[Squares, Floats, Floats]]()

        def compare(before: Floats, after: Floats, share: float, finer: int, down: Span, across: Span) -> None:
            """In a plane `finer` times as wide and high as the grid."""
            square = Squares(before.shape, rows * finer, columns * finer, down, across)
            change[:] += share * square.sums(after - before)
            squares.append((square, before, after))

        pixels = pixels_of(k)
        compare(self._errors, errors, 1 / self._fitter.architecture.channels, 1 << k, pixels, pixels)
        compare(self._bits[k], bits[k], self._lmbda, 1, Span(0, REACH), Span(-REACH, REACH))
        for j in range(min(k, FEATURE_GRIDS)):
            inside = Span(0, (1 << k - j) - 1)
            compare(self._bits[j], bits[j], self._lmbda, 1 << k - j, inside, inside)
        better = change < 0
        self._latents[k][rows[better], columns[better]] = moved[rows[better], columns[better]]
        self._fitter.latents = self._latents
        for square, before, after in squares:
            square.copy(better, after, before)
        return float(-change[better].sum())
