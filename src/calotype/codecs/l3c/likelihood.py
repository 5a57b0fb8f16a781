"""Bits of symbols under mixtures of logistics, with gradients written out: training spends much of its time here.

With L the logistic function and symbol s between its edges, L(a) - L(b) = L(a) L(-b) (1 - exp(b - a)).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .units import LOCATION_UNIT, WEIGHTS_PER_OCTAVE

_SCALES_PER_OCTAVE = 8  # as in coding/mixture.py, which cannot be imported where only training is installed
_TOTAL = 2**16
_FAR = 1e4  # where a tail's end lies, in units of its scale
_SHARES = math.log(2) / WEIGHTS_PER_OCTAVE  # of a weight's step, in nats
_BITS = 1 / math.log(2)


class _MixtureBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, symbols: Tensor, location: Tensor, scale: Tensor, weight: Tensor, count: int) -> Tensor:
        symbols = symbols[:, :, None]
        sharpness = torch.exp2(3 - scale / _SCALES_PER_OCTAVE)
        up = (symbols + 0.5 - location / LOCATION_UNIT).mul_(sharpness)  # from the location to the upper edge
        down = sharpness - up
        a, b = up + (symbols >= count - 1) * _FAR, down + (symbols <= 0) * _FAR
        between = (-a).sub_(b)
        parts = F.logsigmoid(a).add_(F.logsigmoid(b)).add_((-torch.expm1(between)).log_())
        shares = torch.log_softmax(weight * _SHARES, 2)
        parts += shares
        log_probability = torch.logsumexp(parts, 2, keepdim=True)
        frequency = log_probability.exp().mul_(_TOTAL - count)
        if any(ctx.needs_input_grad):
            responsible = parts.sub_(log_probability).exp_()
            upper, lower = a.neg_().sigmoid_(), b.neg_().sigmoid_()
            to_scale = (up * upper).add_(down.mul_(lower)).addcdiv_(sharpness, torch.expm1(between.neg_()))
            to_scale.mul_(responsible).mul_(-math.log(2) / _SCALES_PER_OCTAVE)
            to_location = upper.sub_(lower).mul_(sharpness).mul_(responsible).mul_(-1 / LOCATION_UNIT)
            to_weight = responsible.sub_(shares.exp_()).mul_(_SHARES)
            ctx.save_for_backward(to_location, to_scale, to_weight, frequency / (frequency + 1))
        coded = (frequency.add_(1) / _TOTAL).log2_().neg_()
        return torch.stack([coded, log_probability * -_BITS]).squeeze(3)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        to_location, to_scale, to_weight, share = ctx.saved_tensors
        coded, free = gradient[:, :, :, None].unbind(0)
        each = (coded * share).add_(free).mul_(-_BITS)
        to_symbols = (to_location * each).sum(2).mul_(-LOCATION_UNIT) if ctx.needs_input_grad[0] else None
        return to_symbols, to_location * each, to_scale * each, to_weight * each, None


def mixture_bits(symbols: Tensor, location: Tensor, scale: Tensor, weight: Tensor, count: int) -> Tensor:
    """Bits of symbols 0 .. count - 1 (b, c, h, w) under mixtures (b, c, k, h, w) in the coder's units, in two ways.

    (2, b, c, h, w): as the coder counts them, but for the rounding of its table, with a frequency of at least 1 for
    each symbol; and without that, so that symbols far from where they were expected have a gradient, too.
    """
    return _MixtureBits.apply(symbols, location, scale, weight, count)  # type: ignore[no-any-return,no-untyped-call]
