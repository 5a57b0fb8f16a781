"""Mixtures of logistics: the exact layers that give their parameters, and the bits of symbols under them.

Parameters have the units of `coding.units`. The gradients of the bits are written out, because training spends much of
its time there: with L the logistic function and symbol s between its edges, L(a) - L(b) = L(a) L(-b) (1 - exp(b - a)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..coding.units import (
    COEFFICIENT_BITS,
    LOCATION_UNIT,
    MIXTURE_PRECISION,
    SCALES,
    SCALES_PER_OCTAVE,
    WEIGHT_STEPS,
    WEIGHTS_PER_OCTAVE,
)
from .exact import ExactConv, Output
from .fixed_point import ACTIVATION_BITS, WEIGHT_BITS
from .straight_through import ste_floor

# What exact layers give, in units that are learned about equally fast: locations 256 to the unit, all others 8.
LOCATION = Output(WEIGHT_BITS - 2, -(2**15), 2**15)
SCALE = Output(WEIGHT_BITS + ACTIVATION_BITS - 3, 0, SCALES - 1)
WEIGHT = Output(WEIGHT_BITS + ACTIVATION_BITS - 3, 0, WEIGHT_STEPS - 1)
COEFFICIENT = Output(WEIGHT_BITS + ACTIVATION_BITS - 3, 0, 64)
PARAMETERS_PER_REAL = 8.0  # of scales, weights and coefficients
_NARROWEST = -3  # octave of scale 0: an eighth of a symbol

_TOTAL = 2**MIXTURE_PRECISION
_FAR = 1e4  # where a tail's end lies, in units of its scale
_SHARES = math.log(2) / WEIGHTS_PER_OCTAVE  # of a weight's step, in nats
_BITS = 1 / math.log(2)


class MixtureHead(nn.Module):
    """Features to the parameters of mixtures of logistics: dilated convolutions side by side, then 1x1; exact.

    Parameters
    ----------
    features
        Channels that come in.
    width
        Channels of each of the dilated convolutions.
    channels, components
        Mixtures per place, and logistics per mixture.
    narrowest
        Where the scales start, in symbols: components from this to 16 times as wide.
    coefficients
        Where coefficients start, in 1/64: how far the locations of a channel follow what was found in one before
        (Salimans et al. 2017, PixelCNN++, sec. 2.2). Empty: none.
    dilations
        Of the convolutions. Empty: none, and features go to the 1x1 ones.
    """

    def __init__(
        self,
        features: int,
        width: int,
        channels: int,
        components: int,
        narrowest: float,
        coefficients: Sequence[float] = (),
        dilations: Sequence[int] = (1, 2, 4),
    ) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(ExactConv(features, width, 3, dilation=dilation) for dilation in dilations)
        hidden, count = width * len(dilations) if dilations else features, channels * components
        self.location = ExactConv(hidden, count, output=LOCATION)
        self.scale = ExactConv(hidden, count, output=SCALE)
        self.weight = ExactConv(hidden, count, output=WEIGHT, bias=WEIGHT_STEPS / 2 / PARAMETERS_PER_REAL)
        self.coefficient = (
            ExactConv(hidden, len(coefficients) * components, output=COEFFICIENT) if coefficients else None
        )
        octaves = torch.linspace(0, 4, components) + math.log2(narrowest) - _NARROWEST
        with torch.no_grad():
            for layer in (self.location, self.scale, self.weight, self.coefficient):
                if layer is not None:
                    layer.weight.mul_(0.1)  # what the biases say is better at first
            self.scale.bias.copy_(octaves.repeat(channels) * SCALES_PER_OCTAVE / PARAMETERS_PER_REAL)
            if self.coefficient is not None:
                start = torch.tensor(coefficients).repeat_interleave(components)
                self.coefficient.bias.copy_(start / PARAMETERS_PER_REAL)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """(b, features, h, w) -> location, scale, weight, and coefficient if there are any, each (b, count, h, w).

        Channels are ordered channel, then component; weights are steps (`coding.units.MIXTURE_WEIGHTS`).
        """
        hidden = torch.cat([layer(features) for layer in self.dilated], 1) if len(self.dilated) else features
        outputs = self.location(hidden), self.scale(hidden), self.weight(hidden)
        return outputs if self.coefficient is None else (*outputs, self.coefficient(hidden))


class _MixtureBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, symbols: Tensor, location: Tensor, scale: Tensor, weight: Tensor, count: int) -> Tensor:
        symbols = symbols[:, :, None]
        sharpness = torch.exp2(-_NARROWEST - scale / SCALES_PER_OCTAVE)
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
            to_scale.mul_(responsible).mul_(-math.log(2) / SCALES_PER_OCTAVE)
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


def following_bits(
    symbols: Tensor,
    found: Tensor,
    count: int,
    location: Tensor,
    scale: Tensor,
    weight: Tensor,
    coefficient: Tensor,
) -> Tensor:
    """`mixture_bits` of three channels of which each moves with how far those before are off their locations.

    Parameters
    ----------
    symbols
        (b, 3, h, w), 0 .. count - 1.
    found
        The same as a decoder knows them, which may be inexact.
    location, scale, weight
        (b, 3, k, h, w); locations count from symbol 0.
    coefficient
        (b, 3, k, h, w) in 1/64: of the second after the first, of the third after the first and after the second.
    """
    first, second, third = location.unbind(1)
    second_first, third_first, third_second = coefficient.unbind(1)
    a, b = (found[:, c, None] * LOCATION_UNIT for c in (0, 1))
    off = a - first
    second = second + ste_floor(second_first * off / 2**COEFFICIENT_BITS)
    third = third + ste_floor((third_first * off + third_second * (b - second)) / 2**COEFFICIENT_BITS)
    return mixture_bits(symbols, torch.stack([first, second, third], 1), scale, weight, count)
