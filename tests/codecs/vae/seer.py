"""In place of a network that sees."""

from __future__ import annotations

import torch


def squares(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squares of the differences of two batches: (b,)."""
    return (a - b).square().mean((1, 2, 3))


class Seer(torch.nn.Module):
    """The same, as a network."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return squares(a, b)
