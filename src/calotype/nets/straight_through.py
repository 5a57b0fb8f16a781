"""Rounding and clamping that let gradients through (Bengio et al. 2013, straight-through estimator)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def ste_round(x: Tensor) -> Tensor:
    """Round to the nearest integer, ties to even; gradient 1."""
    return x + (torch.round(x) - x).detach()


def ste_floor(x: Tensor) -> Tensor:
    """Round down; gradient 1."""
    return x + (torch.floor(x) - x).detach()


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = ctx.bounds
        inward = (x >= low) | (gradient < 0)
        if high is not None:
            inward &= (x <= high) | (gradient > 0)
        return gradient * inward, None, None


def clamp_inward(x: Tensor, low: float, high: float | None = None) -> Tensor:
    """Clamp; outside the bounds only gradients pass that pull back inside."""
    if not x.requires_grad:
        return x.clamp(low, high)  # nothing to let through; and exporters know it
    return _Clamp.apply(x, low, high)  # type: ignore[no-any-return,no-untyped-call]
