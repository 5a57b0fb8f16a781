"""How well a run uses its machine: its arithmetic beside that of a plain matrix product."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

_SIDES = {"cuda": 8192, "cpu": 1024}  # of the matrices: large enough to be at full speed
_TYPES = {"cuda": torch.bfloat16, "cpu": torch.float32}  # that most of a step's arithmetic is in
_SECONDS = 0.5


def count_operations(work: Callable[[], object]) -> int:
    """Floating-point operations of convolutions and matrix products in `work`, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def matrix_product_speed(device: torch.device) -> float:
    """Floating-point operations a second of a square matrix product."""
    side, kind = _SIDES[device.type], _TYPES[device.type]
    matrix = torch.randn(side, side, device=device).to(kind)
    _timed(lambda: matrix @ matrix, device, 1)
    once = _timed(lambda: matrix @ matrix, device, 1)
    count = max(1, round(_SECONDS / once))
    return 2 * side**3 * count / _timed(lambda: matrix @ matrix, device, count)


def _timed(work: Callable[[], object], device: torch.device, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
