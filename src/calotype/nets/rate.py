"""Vectors that depend on the rate: one model for all rates."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RateVectors(nn.Module):
    """A learned vector for every rate position t in [0, 1]: linear between equally spaced knots.

    Few knots tie neighbouring rates together, so that each learns from all samples and sizes stay monotone in t.
    """

    def __init__(self, channels: int, knots: int, value: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.full((knots, channels), value))

    def forward(self, t: Tensor) -> Tensor:
        """(b,) positions -> (b, channels)."""
        if len(self.table) == 1:
            return self.table.repeat(len(t), 1)  # a view would claim a gradient where none is asked for
        place = t * (len(self.table) - 1)
        below = place.floor().clamp(0, len(self.table) - 2)
        weight = (place - below)[:, None]
        index = below.long()
        return torch.lerp(self.table[index], self.table[index + 1], weight)
