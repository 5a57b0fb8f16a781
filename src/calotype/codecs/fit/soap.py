"""SOAP, the optimiser of the networks: Adam in the eigenbasis that Shampoo finds (Vyas et al. 2024, algorithm 3).

A matrix of parameters, outputs first, is turned on both sides into the eigenvectors of the running means of G Gt and
Gt G, G being its gradient. There the second moment of Adam is kept; the first is kept as it comes.
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
DECAY = 0.8, 0.8  # of Adam's moments
BASIS_DECAY = 0.9
BASIS_EVERY = 10  # steps
FLOOR = 1e-2  # of the root of the second moment, as a share of that of the matrix

Matrix = NDArray[np.float64]


class _Side:
    """One side of a matrix: its basis."""

    def __init__(self, size: int) -> None:
        self.mean: Matrix = np.zeros((size, size))
        self.basis: Matrix = np.eye(size)

    def see(self, square: Matrix, begins: bool) -> None:
        self.mean += (1.0 if begins else 1 - BASIS_DECAY) * (square - self.mean)

    def turn(self, begins: bool) -> NDArray[np.intp]:
        """A new basis: one step of the power iteration; returns which of the old one each vector was."""
        if begins:
            self.basis = np.linalg.eigh(self.mean)[1]
            return np.arange(len(self.basis))
        values = np.einsum("ij,ik,kj->j", self.basis, self.mean, self.basis)
        order = np.argsort(-values, kind="stable")
        self.basis = np.linalg.qr(self.mean @ self.basis[:, order])[0]
        return order


class _Part:
    """A matrix of parameters at work."""

    def __init__(self, places: NDArray[np.intp]) -> None:
        self.places = places
        self.left, self.right = (_Side(size) for size in places.shape)
        self.first: Matrix = np.zeros(places.shape)
        self.second: Matrix = np.zeros(places.shape)

    def step(self, gradient: Floats, count: int) -> Matrix:
        """The direction, each number of it about 1 in the basis."""
        g = gradient[self.places].astype(np.float64)
        if count == 1:
            self._turn(g, begins=True)
        left, right = self.left.basis, self.right.basis
        turned = left.T @ g @ right
        self.first += (1 - DECAY[0]) * (g - self.first)
        self.second += (1 - DECAY[1]) * (turned * turned - self.second)
        moment = left.T @ self.first @ right / (1 - DECAY[0] ** count)
        power = self.second / (1 - DECAY[1] ** count)
        root = np.sqrt(power) + FLOOR * np.sqrt(power.mean()) + 1e-12
        direction: Matrix = left @ (moment / root) @ right.T
        if count > 1:
            self._turn(g, begins=False, turns=count % BASIS_EVERY == 0)
        return direction

    def _turn(self, g: Matrix, begins: bool, turns: bool = True) -> None:
        self.left.see(g @ g.T, begins)
        self.right.see(g.T @ g, begins)
        if turns:
            self.second = self.second[self.left.turn(begins)][:, self.right.turn(begins)]


class Soap:
    """Its state for one vector of parameters."""

    def __init__(self, architecture: Architecture) -> None:
        place = architecture.split(np.arange(architecture.parameters))
        rows = ([place[name].reshape(len(place[name]), -1) for name in names] for names in MATRICES)
        self._parts = [_Part(np.concatenate(parts, 1)) for parts in rows]
        self.count = 0

    def step(self, parameters: Floats, gradient: Floats, size: float) -> Floats:
        """The parameters after a step."""
        self.count += 1
        moved = parameters.copy()
        for part in self._parts:
            moved[part.places] -= (size * part.step(gradient, self.count)).astype(np.float32)
        return moved
