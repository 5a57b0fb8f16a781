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


class _Requantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float, low: float, high: float) -> Tensor:
        scaled = x * factor
        ctx.factor = factor
        ctx.save_for_backward(scaled.clamp(low, high).sub_(scaled))
        return scaled.floor_().clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (back_inside,) = ctx.saved_tensors
        return torch.where(back_inside * gradient <= 0, gradient * ctx.factor, 0.0), None, None, None


def requantise(x: Tensor, factor: float, low: float, high: float) -> Tensor:
    """Floor and clamp x * factor; gradients as `clamp_inward` before the floor, in fewer passes over memory."""
    if not x.requires_grad:
        return torch.floor(x * factor).clamp(low, high)
    return _Requantise.apply(x, factor, low, high)  # type: ignore[no-any-return,no-untyped-call]
