"""Latents that are samples of the image: every second pixel of a scale, told by how it differs from what is expected.

Recipes with `samples` have no encoder network. The values of scale s are the colours of every 2^s-th pixel. The decoder
expects those of the next finer scale by interpolation (and knows a quarter of them already); `digits.py` has the levels
that correct it. So a scale's pixels are coded given exact neighbours, and none of them is coded twice.

Values count sixteenths of a grey value around the middle.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nets.fixed_point import ACTIVATION_MAX
from .digits import nearest_colours, samples_of
from .units import VALUE_MAX, VALUE_UNIT

_UNIT = 128  # of the weights of interpolation
# A place between two samples takes (-1, 9, 9, -1) / 16 of those in line with it; the middle of four takes a product of
# two such lines, rounded so that it sums to one.
_BESIDE = (-8.0, 72.0, 72.0, -8.0)
_MIDDLE = ((1.0, -5.0, -5.0, 1.0), (-5.0, 41.0, 41.0, -5.0), (-5.0, 41.0, 41.0, -5.0), (1.0, -5.0, -5.0, 1.0))


def values_of(levels: Tensor, expected: Tensor) -> Tensor:
    """Levels (b, 5, h, w) and expected values (b, 3, h, w) -> values (b, 3, h, w) of whole colours; exact."""
    samples = samples_of(planes(levels), planes(nearest_colours(expected)))
    return torch.cat(samples, 1) * VALUE_UNIT - VALUE_MAX


def planes(x: Tensor) -> list[Tensor]:
    """(b, c, h, w) -> c times (b, 1, h, w)."""
    return [x[:, channel : channel + 1] for channel in range(x.shape[1])]


class Interpolation(nn.Module):
    """Values of a scale to those expected of the next finer one, exact; `unit` of them make a grey value."""

    weight: Tensor

    def __init__(self, unit: int) -> None:
        super().__init__()
        self.factor = unit / (_UNIT * VALUE_UNIT)
        weight = torch.zeros(4, 1, 5, 5)
        weight[0, 0, 2, 2] = _UNIT
        weight[1, 0, 2, 1:] = torch.tensor(_BESIDE)
        weight[2, 0, 1:, 2] = torch.tensor(_BESIDE)
        weight[3, 0, 1:, 1:] = torch.tensor(_MIDDLE)
        self.register_buffer("weight", weight.repeat(3, 1, 1, 1))
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, values: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, 3, 2h, 2w)."""
        total = F.conv2d(F.pad(values, (2, 2, 2, 2), "replicate"), self.weight, groups=3)
        return self.shuffle(torch.floor(total * self.factor))  # type: ignore[no-any-return]


class Differences(nn.Module):
    """How values differ from their neighbours: what networks see of them; exact."""

    weight: Tensor
    CHANNELS = 6

    def __init__(self) -> None:
        super().__init__()
        planes = torch.tensor([[0.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, -1.0, 1.0]])
        steps = torch.zeros(2, 2, 2)
        steps[:, 0, 0] = -1
        steps[0, 0, 1] = steps[1, 1, 0] = 1
        self.register_buffer("weight", (planes[:, None, :, None, None] * steps[None, :, None]).flatten(0, 1))

    def forward(self, values: Tensor) -> Tensor:
        """(b, 3, h, w) -> (b, 6, h, w) of G, R - G and B - G, to the right and down, within twice an activation."""
        found = F.conv2d(F.pad(values, (0, 1, 0, 1), "replicate"), self.weight)
        return found.clamp(-ACTIVATION_MAX, ACTIVATION_MAX)
