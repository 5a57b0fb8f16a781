"""Latents as 2x2 cells: the order in which they are coded. For NumPy arrays and torch tensors alike.

Channels form 4 groups, the positions of a cell 4 places. Part d holds, at place p, group p xor d: every part has a
quarter of the latents, some from each place and some from each group (a Latin square), so that later parts see
neighbours in space and in channels (the four-step order of DCVC-DC, Li et al. 2023, sec. 3.3). With fewer steps
than four, a step holds several parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def step_of(y: Any, step: int, steps: int) -> list[Any]:
    """(b, m, h, w), h and w even -> pieces (b, m/4, h/2, w/2); joined in this order, they are what the step codes.

    They are views: index arrays would wait for the device, which a CUDA graph must not.
    """
    grid = _grid(y)
    return [grid[:, group, :, :, row, :, column] for group, row, column in _pieces(step, steps)]


def put_step(y: Any, coded: Any, step: int, steps: int) -> None:
    """Write what a step coded, (b, m * 4 / steps, h/2, w/2), into y (b, m, h, w), which must be contiguous."""
    grid = _grid(y)
    size = y.shape[1] // 4
    for number, (group, row, column) in enumerate(_pieces(step, steps)):
        grid[:, group, :, :, row, :, column] = coded[:, number * size : (number + 1) * size]


def parts_of(channels: int, step: int, steps: int) -> list[tuple[int, int, int, int]]:
    """What a step codes, in its order: first channel and number of channels, row and column in the cell."""
    size = channels // 4
    return [(group * size, size, row, column) for group, row, column in _pieces(step, steps)]


def _grid(y: Any) -> Any:
    b, m, h, w = y.shape
    return y.reshape(b, 4, m // 4, h // 2, 2, w // 2, 2)


def _pieces(step: int, steps: int) -> Iterator[tuple[int, int, int]]:
    """Group, row and column in the cell of a step's pieces."""
    for part in range(step * 4 // steps, (step + 1) * 4 // steps):
        for place in range(4):
            yield place ^ part, place >> 1, place & 1
