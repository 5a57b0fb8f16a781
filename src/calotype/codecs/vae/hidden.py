"""Colours under full transparency: nobody sees them, so a smooth continuation of the others replaces them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def continue_smoothly(colours: npt.NDArray[Any], visible: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Colours (h, w, c) with those that are not visible (h, w) filled from those that are, the nearer the finer.

    Means over squares of 2, 4, 8 ... pixels that hold something visible, from coarse to fine (push-pull, Gortler et al.
    1996, The Lumigraph, sec. 3.4).
    """
    if visible.all():
        return colours
    weights: list[Floats] = [visible[..., None].astype(np.float32)]
    sums: list[Floats] = [colours.astype(np.float32) * weights[0]]
    while max(sums[-1].shape[:2]) > 1:
        weights.append(_halved(weights[-1]))
        sums.append(_halved(sums[-1]))
    filled = sums[-1] / np.maximum(weights[-1], 1)
    for total, weight in zip(reversed(sums[:-1]), reversed(weights[:-1]), strict=True):
        height, width = total.shape[:2]
        coarser = filled.repeat(2, 0).repeat(2, 1)[:height, :width]
        filled = np.where(weight > 0, total / np.maximum(weight, 1), coarser)
    return np.where(visible[..., None], colours, np.rint(filled).astype(colours.dtype))


def _halved(x: Floats) -> Floats:
    """Sums over squares of two by two, (h, w, c) -> (h / 2, w / 2, c), rounded up."""
    height, width, channels = x.shape
    padded = np.pad(x, ((0, height % 2), (0, width % 2), (0, 0)))
    halved: Floats = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, channels).sum((1, 3))
    return halved
