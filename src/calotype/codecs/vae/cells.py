"""Latents as 2x2 cells: the order in which they are coded. For NumPy arrays and torch tensors alike.

Channels form 4 groups, the positions of a cell 4 places. Part d holds, at place p, group p xor d: every part has a
quarter of the latents, some from each place and some from each group (a Latin square), so that later parts see
neighbours in space and in channels (the four-step order of DCVC-DC, Li et al. 2023, sec. 3.3). With fewer steps
than four, a step holds several parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_PLACES = np.arange(4)


def _grid(y: Any) -> Any:
    b, m, h, w = y.shape
    return y.reshape(b, 4, m // 4, h // 2, 2, w // 2, 2)


def _parts(step: int, steps: int) -> range:
    return range(step * 4 // steps, (step + 1) * 4 // steps)


def step_of(y: Any, step: int, steps: int) -> list[Any]:
    """(b, m, h, w), h and w even -> the step's parts, each (b, m, h/2, w/2)."""
    b, m, h, w = y.shape
    grid = _grid(y)
    parts = []
    for d in _parts(step, steps):
        # the separated index arrays move the four places to the front
        part = grid[:, _PLACES ^ d, :, :, _PLACES >> 1, :, _PLACES & 1]
        parts.append(part.swapaxes(0, 1).reshape(b, m, h // 2, w // 2))
    return parts


def put_step(y: Any, parts: list[Any], step: int, steps: int) -> None:
    """Write the step's parts back into y (b, m, h, w), in place; y must be contiguous."""
    b, m, h, w = y.shape
    grid = _grid(y)
    for d, part in zip(_parts(step, steps), parts, strict=True):
        cells = part.reshape(b, 4, m // 4, h // 2, w // 2).swapaxes(0, 1)
        grid[:, _PLACES ^ d, :, :, _PLACES >> 1, :, _PLACES & 1] = cells
