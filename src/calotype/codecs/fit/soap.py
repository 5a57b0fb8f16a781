"""SOAP, the optimiser of the networks: Adam in the eigenbasis that Shampoo finds (Vyas et al. 2024, algorithm 3).

A matrix of parameters is turned on both sides into the eigenvectors of the running means of G Gt and Gt G, G being its
gradient. There the second moment of Adam is kept; the first is kept as it comes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .fitter import Floats

MATRICES = (  # parts with the same outputs are one matrix, biases a column of it
    ("F0",), ("F1",), ("F2",), ("A1", "a1"), ("A2", "a2"), ("A3", "L"), ("b",), ("taps",),
    ("B1", "c1"), ("B2", "M", "c2"), ("R1", "r1"), ("R2", "r2"),
)  # fmt: skip
DECAY = 0.8, 0.8  # of Adam's moments, for one picture
BASIS_DECAY = 0.9
BASIS_EVERY = 10  # steps
FLOOR = 1e-2  # of the root of the second moment, as a share of that of the matrix

Stack = NDArray[np.float64]
"""Matrices of one size, [matrix, row, column]: all at once, as each is small; zero where one has no number."""


class _Side:
    """The bases of all matrices on one side."""

    def __init__(self, count: int, size: int) -> None:
        self.mean: Stack = np.zeros((count, size, size))
        self.basis: Stack = np.tile(np.eye(size), (count, 1, 1))

    def see(self, squares: Stack, share: float) -> None:
        self.mean += share * (squares - self.mean)

    def turn(self) -> NDArray[np.intp]:
        """A step of the power iteration; returns which of the old vectors each new one was, [matrix, vector]."""
        order = np.argsort(-(self.basis * (self.mean @ self.basis)).sum(1), axis=1, kind="stable")
        self.basis = np.linalg.qr(self.mean @ np.take_along_axis(self.basis, order[:, None, :], 2))[0]
        return order


class Soap:
    """Its state for one vector of parameters."""

    def __init__(self, architecture: Architecture, decay: tuple[float, float] = DECAY) -> None:
        self._decay = decay
        place, matrices = architecture.split(np.arange(architecture.parameters)), []
        for names in MATRICES:
            matrix = np.concatenate([place[name].reshape(len(place[name]), -1) for name in names], 1)
            matrices.append(matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T)
        shape = len(matrices), max(len(matrix) for matrix in matrices), max(matrix.shape[1] for matrix in matrices)
        stacked = np.arange(np.prod(shape)).reshape(shape)
        self._from = np.concatenate([matrix.ravel() for matrix in matrices])
        self._to = np.concatenate(
            [stack[: len(matrix), : matrix.shape[1]].ravel() for stack, matrix in zip(stacked, matrices, strict=True)]
        )
        self._left, self._right = _Side(shape[0], shape[1]), _Side(shape[0], shape[2])
        self._sizes = np.array([matrix.size for matrix in matrices]).reshape(-1, 1, 1)
        self._first: Stack = np.zeros(shape)
        self._second: Stack = np.zeros(shape)
        self.count = 0

    def step(self, parameters: Floats, gradient: Floats, size: float) -> Floats:
        """The parameters after a step."""
        first, second = self._decay
        self.count += 1
        g = np.zeros_like(self._first)
        g.flat[self._to] = gradient[self._from]
        if self.count == 1:
            self._see(g, 1.0)
            for side in (self._left, self._right):
                side.basis = np.linalg.eigh(side.mean)[1]
        left, right = self._left.basis, self._right.basis
        turned = left.swapaxes(1, 2) @ g @ right
        self._first += (1 - first) * (g - self._first)
        self._second += (1 - second) * (turned * turned - self._second)
        moment = left.swapaxes(1, 2) @ self._first @ right / (1 - first**self.count)
        power = self._second / (1 - second**self.count)
        root = np.sqrt(power) + FLOOR * np.sqrt(power.sum((1, 2), keepdims=True) / self._sizes) + 1e-12
        direction = left @ (moment / root) @ right.swapaxes(1, 2)
        self._see(g, 1 - BASIS_DECAY)
        if self.count % BASIS_EVERY == 0:
            self._turn()
        moved = parameters.copy()
        moved[self._from] -= (size * direction.flat[self._to]).astype(np.float32)
        return moved

    def _see(self, g: Stack, share: float) -> None:
        self._left.see(g @ g.swapaxes(1, 2), share)
        self._right.see(g.swapaxes(1, 2) @ g, share)

    def _turn(self) -> None:
        rows, columns = self._left.turn(), self._right.turn()
        self._second = np.take_along_axis(self._second, rows[:, :, None], 1)
        self._second = np.take_along_axis(self._second, columns[:, None, :], 2)
