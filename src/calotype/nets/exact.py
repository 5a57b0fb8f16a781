"""Integer layers that give the same integers on every machine.

Integers (`fixed_point` has their units) travel in float32, where every partial sum is exact in any order as long as it
stays below 2^24. `ExactConv` keeps that bound during training by scaling a filter down, and `largest_sum` proves it for
the exported integers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import CalotypeError
from .fixed_point import ACTIVATION_BITS, ACTIVATION_MAX, EXACT_LIMIT, WEIGHT_BITS, WEIGHT_MAX
from .straight_through import clamp_inward, requantise, ste_round


class Output(NamedTuple):
    """What becomes of the sums of a layer."""

    shift: int
    """Fraction bits that are dropped."""
    low: int
    """Lower clamp."""
    high: int
    """Upper clamp."""


ACTIVATION = Output(WEIGHT_BITS, 0, ACTIVATION_MAX)
"""What the next layer takes, the rectifier included."""
SIGNED = Output(WEIGHT_BITS, -2 * ACTIVATION_MAX, 2 * ACTIVATION_MAX)
"""The same scale, twice the range, both signs."""
INDEX = Output(WEIGHT_BITS + ACTIVATION_BITS - 1, 0, 63)
"""Number of one of 64 tables, half a unit each."""


class ExactConv(nn.Module):
    """Convolution of integer activations, then a floored rescale by a power of two and a clamp.

    Zero padding keeps the size.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 1,
        *,
        groups: int = 1,
        dilation: int = 1,
        output: Output = ACTIVATION,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.groups, self.dilation = groups, dilation
        self.shift, self.low, self.high = output
        fan_in = channels_in // groups * kernel**2
        weight = torch.empty(channels_out, channels_in // groups, kernel, kernel)
        nn.init.normal_(weight, std=(2 / fan_in) ** 0.5 if output == ACTIVATION else 0.1 * fan_in**-0.5)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.full((channels_out,), bias))

    def integers(self) -> tuple[Tensor, Tensor]:
        """Weight and bias as integers in float32, within the bound that keeps sums exact."""
        weight = self.weight * 2**WEIGHT_BITS
        bias = ste_round(self.bias * 2 ** (WEIGHT_BITS + ACTIVATION_BITS))
        size = weight.abs().sum((1, 2, 3))
        rounding = weight[0].numel() / 2  # each of the weights may grow by half when it is rounded
        room = (EXACT_LIMIT - 2**self.shift - bias.abs()) / ACTIVATION_MAX - rounding - 1
        scale = (room / size.clamp_min(1)).clamp(max=1)
        weight = clamp_inward(weight * scale[:, None, None, None], -WEIGHT_MAX, WEIGHT_MAX)
        return ste_round(weight), bias

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels_in, h, w) activations -> (b, channels_out, h, w), integers held in float32."""
        weight, bias = self.integers()
        padding = self.dilation * (weight.shape[-1] // 2)
        total = F.conv2d(x, weight, bias, padding=padding, dilation=self.dilation, groups=self.groups)
        return requantise(total, 2.0**-self.shift, self.low, self.high)


def largest_sum(weight: Tensor, bias: Tensor, shift: int) -> float:
    """Upper bound of every partial sum of any output channel, with the rescale's rounding."""
    weight, bias = weight.detach().abs().double(), bias.detach().abs().double()
    return float((weight.flatten(1).sum(1) * ACTIVATION_MAX + bias).max()) + 2.0**shift


def halves(x: Tensor) -> Tensor:
    """(b, c, h, w) signed integers -> (b, 2c, h, w) activations: the positive and the negative part."""
    return torch.cat([x, -x], 1).clamp(0, ACTIVATION_MAX)


class ExactLog(nn.Module):
    """Activations to logarithms that fill the range of activations: by a table, so exact."""

    table: Tensor
    slopes: Tensor

    def __init__(self) -> None:
        super().__init__()
        values = torch.arange(ACTIVATION_MAX + 1, dtype=torch.float64)
        unit = ACTIVATION_MAX / math.log2(ACTIVATION_MAX + 1)
        self.register_buffer("table", torch.round(unit * torch.log2(values + 1)).float()[:, None], persistent=False)
        self.register_buffer("slopes", (unit / math.log(2) / (values + 1)).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Activations (b, c, h, w) -> activations; gradients are those of the logarithm."""
        if not x.requires_grad:
            return F.embedding(x.long(), self.table).squeeze(-1)
        return _Log.apply(x, self.table, self.slopes)  # type: ignore[no-any-return,no-untyped-call]


class _Log(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, slopes: Tensor) -> Tensor:
        places = x.long()
        ctx.save_for_backward(slopes[places])
        return F.embedding(places, table).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradient * slopes, None, None


class FrozenExactConv(nn.Module):
    """An `ExactConv` with its integers fixed: a plain convolution, a rescale, a floor and a clamp.

    Raises `CalotypeError` if a sum could reach 2^24.
    """

    def __init__(self, layer: ExactConv) -> None:
        super().__init__()
        with torch.no_grad():
            weight, bias = layer.integers()
        if (reach := largest_sum(weight, bias, layer.shift)) >= EXACT_LIMIT:
            raise CalotypeError(
                f"an exact layer could reach {reach:.0f}, not below 2^24; train it further with its bound"
            )
        channels_out, channels_in, kernel, _ = weight.shape
        self.conv = nn.Conv2d(
            channels_in * layer.groups,
            channels_out,
            kernel,
            padding=layer.dilation * (kernel // 2),
            dilation=layer.dilation,
            groups=layer.groups,
        ).requires_grad_(False)
        self.conv.weight.copy_(weight)
        assert self.conv.bias is not None
        self.conv.bias.copy_(bias)
        self.scale, self.low, self.high = 2.0**-layer.shift, float(layer.low), float(layer.high)

    def forward(self, x: Tensor) -> Tensor:
        """As `ExactConv.forward`, the same integers."""
        return torch.floor(self.conv(x) * self.scale).clamp(self.low, self.high)
