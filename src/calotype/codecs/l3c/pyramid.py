"""A Laplacian pyramid (Burt and Adelson 1983) as latents, in recipes with `pyramid`: only the decoder's side is learnt.

Every scale holds *values*: luma and two chromas (YCoCg), in sixteenths of a grey value around the middle. The decoder
expects them by interpolating those of the coarser scale, and levels correct what it expects: three fine digits, and
coarse ones of luma and the first chroma for edges and for the coarsest scale. So latents tell what is not known yet,
and at scale 1 pixels are interpolated from values that are known to half a fine digit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nets.exact import ExactConv, halves
from ...nets.fixed_point import ACTIVATION_MAX
from .units import COARSE_DIGIT, COLOUR_MAX, COLOURS, FINE_DIGIT, LATENTS, SCALES, VALUE_UNIT

# R, G, B -> luma, orange and green chroma; the inverse has ones only
_TO_VALUES = torch.tensor([[0.25, 0.5, 0.25], [0.5, 0.0, -0.5], [-0.25, 0.5, -0.25]])


class Averages(nn.Module):
    """A picture's values at all scales, which the encoder compares with those expected; in place of an analysis."""

    weight: Tensor
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", _TO_VALUES[:, :, None, None] * (VALUE_UNIT * COLOUR_MAX / 2))
        self.register_buffer("mean", torch.full((COLOURS, 1, 2, 2), 0.25))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(b, 3, h, w) in [-1, 1], sizes multiples of 8 -> values (b, 3, h / 2^s, w / 2^s) for s = 1, 2, 3."""
        values = [F.conv2d(x, self.weight)]
        for _ in range(SCALES):
            values.append(F.conv2d(values[-1], self.mean, stride=2, groups=COLOURS))
        return values[1:]


def digits_of(missing: Tensor) -> Tensor:
    """Values that are not expected (b, 3, h, w) to levels (b, 5, h, w), fine ones not rounded."""
    coarse = torch.round(missing[:, : LATENTS - COLOURS] / COARSE_DIGIT)
    fine = missing - F.pad(coarse * COARSE_DIGIT, (0, 0, 0, 0, 0, 2 * COLOURS - LATENTS))
    return torch.cat([fine / FINE_DIGIT, coarse], 1)


class Interpolation(nn.Module):
    """Values of a scale to those expected of the next finer one, or to colours; exact."""

    digits: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        digits = torch.cat([FINE_DIGIT * torch.eye(COLOURS), COARSE_DIGIT * torch.eye(COLOURS, LATENTS - COLOURS)], 1)
        self.register_buffer("digits", digits[:, :, None, None])
        matrix = torch.linalg.inv(_TO_VALUES) if scale == 1 else torch.eye(COLOURS)
        self.finer = ExactConv(2 * COLOURS, 4 * COLOURS, 3, output="location" if scale == 1 else "signed")
        self.finer.requires_grad_(False)
        self.shuffle = nn.PixelShuffle(2)
        weight = torch.zeros(COLOURS, 4, COLOURS, 3, 3)
        for place in range(4):  # lies a quarter of the way towards the neighbours on its side; central differences
            y, x = 2 * (place // 2), 2 * (place % 2)
            weight[:, place, :, 1, 1] = matrix
            for neighbour, share in (((y, 1), 1 / 8), ((2 - y, 1), -1 / 8), ((1, x), 1 / 8), ((1, 2 - x), -1 / 8)):
                weight[:, place, :, *neighbour] += share * matrix
        with torch.no_grad():
            self.finer.weight.copy_(torch.cat([weight, -weight], 2).flatten(0, 1))

    def forward(self, levels: Tensor, expected: Tensor | None) -> Tensor:
        """Levels (b, 5, h, w) and expected values (b, 3, h, w), none at the coarsest scale.

        Returns (b, 3, 2h, 2w): values, or colours around the middle in the coder's units.
        """
        values = F.conv2d(levels, self.digits)
        if expected is not None:
            values = values + expected
        return self.shuffle(self.finer(halves(values.clamp(-ACTIVATION_MAX, ACTIVATION_MAX))))  # type: ignore[no-any-return]
