"""Probability models of integer symbols, as used in training; decoding uses integer tables made from them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LIKELIHOOD_MIN = 1e-9  # Ballé et al. 2018, reference code


def gaussian_bits(x: Tensor, sigma: Tensor) -> Tensor:
    """Bits of integers x under a zero-mean Gaussian of width sigma, integrated over +-1/2.

    Far out, where the mass vanishes in float32, its exponent goes on, so that gradients still widen sigma.
    """
    scale = math.sqrt(0.5) / sigma
    magnitude = x.abs()  # by symmetry; the difference of two small tails keeps its precision
    upper = torch.special.erfc((magnitude - 0.5) * scale)
    lower = torch.special.erfc((magnitude + 0.5) * scale)
    mass = 0.5 * (upper - lower)
    tail = ((magnitude - 0.5) * scale).square() / math.log(2)
    return torch.where(mass > LIKELIHOOD_MIN, -torch.log2(mass.clamp_min(LIKELIHOOD_MIN)), tail)


class FactorizedDensity(nn.Module):
    """Fully factorised density, one learned cumulative per channel (Ballé et al. 2018, appendix 6.1).

    The cumulative is sigmoid(f4(f3(f2(f1(x))))) with widths 1, 3, 3, 3, 1 and monotone steps.
    """

    WIDTHS = (1, 3, 3, 3, 1)

    def __init__(self, channels: int, scale: float = 10.0) -> None:
        super().__init__()
        self.matrices = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.factors = nn.ParameterList()
        step = scale ** (1 / (len(self.WIDTHS) - 1))
        for wide, narrow in zip(self.WIDTHS[1:], self.WIDTHS[:-1], strict=True):
            start = math.log(math.expm1(1 / step / wide))
            self.matrices.append(nn.Parameter(torch.full((channels, wide, narrow), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, wide, 1) - 0.5))
            self.factors.append(nn.Parameter(torch.zeros(channels, wide, 1)))

    def logits(self, x: Tensor) -> Tensor:
        """(channels, 1, n) -> logits of the cumulative at x, the same shape."""
        last = len(self.matrices) - 1
        for layer, (matrix, bias, factor) in enumerate(zip(self.matrices, self.biases, self.factors, strict=True)):
            x = F.softplus(matrix) @ x + bias
            if layer != last:
                x = x + torch.tanh(factor) * torch.tanh(x)
        return x

    def probability(self, low: Tensor, high: Tensor) -> Tensor:
        """Mass between low and high, each (channels, 1, n)."""
        below, above = self.logits(low), self.logits(high)
        sign = -torch.sign(below + above).detach()  # work in the tail where sigmoids do not saturate
        return (torch.sigmoid(sign * above) - torch.sigmoid(sign * below)).abs()

    def bits(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Bits of x (b, channels, h, w) under the density of scale * x + shift, both (b, channels)."""

        def arrange(v: Tensor) -> Tensor:
            return v.movedim(1, 0).reshape(x.shape[1], 1, -1)

        scale, shift = scale[:, :, None, None], shift[:, :, None, None]
        mass = self.probability(arrange((x - 0.5) * scale + shift), arrange((x + 0.5) * scale + shift))
        bits = -torch.log2(mass.clamp_min(LIKELIHOOD_MIN))
        return bits.reshape(x.shape[1], x.shape[0], *x.shape[2:]).movedim(0, 1)
