"""Where training starts: transforms that equal a DCT in an orthonormal luma-chroma space.

Features inside are divided by the spread they have in photographs, so that each weighs the same in the layers between.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])  # the usual KLT of RGB
# Spread of 8x8 DCT coefficients at radial frequency r, about LEVEL * max(r, DC) ** -DECAY in each colour axis;
# fitted by eye to 71 training tiles.
_LEVEL = np.array([0.45, 0.11, 0.065])
_DECAY = np.array([1.2, 1.5, 1.5])
_DC = 0.18
_SPREAD_MIN = 0.03  # weaker coefficients are not blown up further


def _dct(size: int) -> np.ndarray:
    k = np.arange(size)
    basis: np.ndarray = np.cos((2 * k[None] + 1) * k[:, None] * np.pi / (2 * size)) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    return basis


def _ranking(size: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The `count` strongest coefficients of a size x size block: colour axis, row, column, spread; strongest first."""
    colour, row, column = np.indices((3, size, size)).reshape(3, -1)
    radius = np.maximum(np.hypot(row, column) * 8 / size, _DC)
    spread = _LEVEL[colour] * radius ** -_DECAY[colour]
    order = np.argsort(-spread, kind="stable")[:count]
    return colour[order], row[order], column[order], spread[order]


def places(width: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour axis, row and column of each coefficient of `dct_stem`."""
    return _ranking(size, width)[:3]


def dct_stem(width: int, size: int = 8) -> tuple[Tensor, Tensor]:
    """Orthonormal (width, 3 * size**2): pixels of a block, as PixelUnshuffle orders them, to coefficients; and spread.

    The strongest are taken. More features than coefficients: the rest starts as small noise with spread 1.
    """
    colour, row, column, spread = _ranking(size, width)
    basis, pixels = _dct(size), 3 * size**2
    kernel = np.einsum("kc,ki,kj->kcij", _COLOUR[colour], basis[row], basis[column]).reshape(-1, pixels)
    return _fill((width, pixels), kernel), _spread(width, spread)


def dct_stride(width: int, latents: int) -> tuple[Tensor, Tensor]:
    """Orthonormal (latents, width, 2, 2): 8x8 coefficients of a 2x2 neighbourhood to 16x16 ones; their spread."""
    small_colour, small_row, small_column, _ = _ranking(8, width)
    colour, row, column, spread = _ranking(16, latents)
    # along one axis: <basis k of 16, place p of basis j of 8>
    along = np.einsum("kpi,ji->kpj", _dct(16).reshape(16, 2, 8), _dct(8))
    rows = along[row][:, :, small_row]
    columns = along[column][:, :, small_column]
    kernel = np.einsum("mpj,mqj->mjpq", rows, columns) * (colour[:, None] == small_colour)[:, :, None, None]
    return _fill((latents, width, 2, 2), kernel), _spread(latents, spread)


def _fill(shape: tuple[int, ...], kernel: np.ndarray) -> Tensor:
    result = torch.randn(shape) * 1e-2
    result[: kernel.shape[0], : kernel.shape[1]] = torch.from_numpy(kernel).float()
    return result


def _spread(count: int, known: np.ndarray) -> Tensor:
    result = torch.ones(count)
    result[: len(known)] = torch.from_numpy(np.maximum(known, _SPREAD_MIN)).float()
    return result[:, None, None]
