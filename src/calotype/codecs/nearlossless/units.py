"""Integers and geometry that training, freezing and coding share. No PyTorch here.

Glossary: *planes* are the colours in the order in which they are coded: green, red, blue. *Levels* are the quantised
coefficients of the base, one place per block of 8 x 8 pixels. A *lattice* is every `step`-th pixel both ways.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

COLOURS = 3
COLOUR_MAX = 255
ORDER = (1, 0, 2)  # of the planes among red, green and blue

BLOCK = 8  # pixels; padded sizes are multiples
LEVEL_MAX = 127
LEVEL_SYMBOLS = 2 * LEVEL_MAX + 1
LEVEL_UNIT = 16  # what networks are given per level
PICTURE_UNIT = 16  # in which the base's picture is summed, per grey value


class Lattice(NamedTuple):
    """Every `step`-th pixel from row `y` and column `x` on."""

    step: int
    y: int
    x: int

    @property
    def of_pixels(self) -> tuple[slice, slice]:
        return slice(self.y, None, self.step), slice(self.x, None, self.step)


PHASES = (
    Lattice(4, 0, 0), Lattice(4, 2, 2), Lattice(4, 0, 2), Lattice(4, 2, 0),
    Lattice(2, 1, 1), Lattice(2, 0, 1), Lattice(2, 1, 0),
)  # fmt: skip
"""The lattices that pixels are coded on, one after the other; together they are all pixels."""
STEPS = (4, 2)
LEVEL_PHASES = ((Lattice(2, 0, 0),), (Lattice(2, 1, 1),), (Lattice(2, 0, 1), Lattice(2, 1, 0)))
"""Likewise of levels."""


def known(phase: Lattice) -> tuple[Lattice, ...]:
    """The lattices of the phase's step whose pixels are coded before it."""
    before = PHASES[: PHASES.index(phase)]
    coarser = () if phase.step == STEPS[0] else (Lattice(phase.step, 0, 0),)
    return coarser + tuple(other for other in before if other.step == phase.step)


def around(phase: Lattice) -> tuple[Lattice, ...]:
    """Three other lattices of the phase's step, half a step away."""
    half = phase.step // 2
    corners = ((row, column) for row in (0, half) for column in (0, half))
    return tuple(Lattice(phase.step, *corner) for corner in corners if corner != (phase.y, phase.x))


def seen(found: Any, picture: Any, phase: Lattice) -> tuple[list[Any], list[Any]]:
    """What a phase sees of planes (.., 3, h, w), NumPy's or PyTorch's, found so far, and of the base's picture.

    Slopes of the picture, one channel each, and how far known samples are off it, three channels each; all of size
    (h / step, w / step).
    """
    centre = picture[(..., slice(1), *phase.of_pixels)]
    slopes = [picture[(..., slice(1), *other.of_pixels)] - centre for other in around(phase)]
    off = [found[(..., *other.of_pixels)] - picture[(..., *other.of_pixels)] for other in known(phase)]
    return slopes, off


# --- the bound --------------------------------------------------------------------------------------------------------

BOUND_PLANES = 3


def bound_inputs() -> npt.NDArray[np.float32]:
    """What networks are told of bounds 0 .. 255: (256, 3, 1, 1) activations that grow with it, from early to late."""
    bounds = np.arange(COLOUR_MAX + 1)
    octaves = np.array([(2 * int(bound) + 1).bit_length() - 1 for bound in bounds])
    planes = np.minimum(64 * bounds, 512), np.minimum(16 * bounds, 1024), 64 * octaves
    return np.stack(planes, 1)[:, :, None, None].astype(np.float32)


# --- where the base's transform starts --------------------------------------------------------------------------------

STEP = 40.0  # grey values per level, in an orthonormal space of colours and coefficients
DEAD_ZONE = 0.35  # added to the magnitude of coefficients before it is cut to whole levels
LUMA, CHROMA = 8, 3  # coefficients (i, j) with i + j below are kept

_AXES = np.array([[1, 1, 1], [0, 1, -1], [-2, 1, 1]]) / np.sqrt([[3], [2], [6]])  # of planes: green, red, blue


def _dct() -> npt.NDArray[np.float64]:
    k = np.arange(BLOCK)
    basis: npt.NDArray[np.float64] = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return basis


def _kept() -> list[tuple[int, int, int]]:
    """Colour axis, row and column of each coefficient that has levels."""
    limits = (LUMA, CHROMA, CHROMA)
    places = ((axis, i, j) for axis, limit in enumerate(limits) for i in range(BLOCK) for j in range(BLOCK))
    return [(axis, i, j) for axis, i, j in places if i + j < limits[axis]]


LEVELS = len(_kept())  # channels
LUMA_LEVELS = list(accumulate(axis == 0 for axis, _, _ in _kept()))[-1]  # the first of them: all that grey has


def basis() -> npt.NDArray[np.float32]:
    """(LEVELS, 3 * 64): what a level adds to the planes of a block, in grey values."""
    dct = _dct()
    kernels = [STEP * np.einsum("c,i,j->cij", _AXES[axis], dct[i], dct[j]).reshape(-1) for axis, i, j in _kept()]
    return np.stack(kernels).astype(np.float32)
