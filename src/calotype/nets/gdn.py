"""Generalised divisive normalisation (Ballé et al. 2016, "Density modeling of images using a GDN", eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .straight_through import clamp_inward

BETA_MIN = 1e-6  # keeps the square root away from zero


class GDN(nn.Module):
    """x / sqrt(beta + gamma x^2) over channels, or x * sqrt(...) when `inverse`."""

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(0.1 * torch.eye(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> the same shape."""
        beta = clamp_inward(self.beta, BETA_MIN)
        gamma = clamp_inward(self.gamma, 0)
        norm = torch.sqrt(F.conv2d(x * x, gamma[:, :, None, None], beta))
        return x * norm if self.inverse else x / norm
