"""A residual block of few multiply-adds: depthwise-separable, then a channel mixer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SLOPE = 0.1  # of the leaky rectifiers; piecewise linear so that an int8 or exact version stays possible


class Block(nn.Module):
    """Two residual steps at one width, about 6 width^2 multiply-adds per position.

    [1x1, rectifier, 3x3 depthwise, 1x1], then [1x1 to twice the width, rectifier, 1x1]; after the block type of
    DCVC-UF (microsoft/DCVC, 2026). Both steps start as zero, so that a fresh block is the identity.
    """

    half_type: torch.dtype | None = None
    """Type that the branches compute in when training, if another than that of x; sums stay as they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, width, 3, padding=1, groups=width),
            nn.Conv2d(width, width, 1),
        )
        self.mixer = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, width, 1),
        )
        for parameter in [*self.spatial[-1].parameters(), *self.mixer[-1].parameters()]:
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same shape."""
        if self.half_type is not None:
            with torch.autocast(x.device.type, self.half_type):
                x = x + self.spatial(x)
                return x + self.mixer(x)  # type: ignore[no-any-return]
        x = x + self.spatial(x)
        return x + self.mixer(x)  # type: ignore[no-any-return]


class Inner(nn.Sequential):
    """Layers between those that hold pixels and latents: such as may compute in fewer digits in training."""

    half_type: torch.dtype | None = None
    """Type that convolutions compute in when training, if another than that of x."""

    def forward(self, x: Tensor) -> Tensor:
        if self.half_type is None:
            return super().forward(x)  # type: ignore[no-any-return,no-untyped-call]
        with torch.autocast(x.device.type, self.half_type):
            return super().forward(x).float()  # type: ignore[no-any-return,no-untyped-call]
