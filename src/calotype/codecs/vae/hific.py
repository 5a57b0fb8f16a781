"""The transforms of HiFiC (Mentzer et al. 2020, "High-Fidelity Generative Image Compression", fig. 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nets.residual import Inner
from .recipe import Recipe

EPSILON = 1e-3  # of the variance, against division by zero; the authors' code
HALVINGS = 4  # each doubles the features
LATENT_START = 4.0  # y starts wide enough that rounding leaves something of it
SHOWN_START = 0.1  # and pictures near grey


class ChannelNorm(nn.Module):
    """Mean 0 and variance 1 over the channels of each place, then a learned factor and shift of each channel.

    Mentzer et al. 2020, appendix A.1: a layer norm over channels. Unlike an instance norm it does not see how large the
    picture is, so that tiles are decoded as the whole would be. (Variances are divided by the number of channels, not
    by one less as there, which the factor makes up for.)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> the same shape."""
        found = F.layer_norm(x.permute(0, 2, 3, 1), self.factor.shape, self.factor, self.shift, EPSILON)
        return found.permute(0, 3, 1, 2)


class HiFiCAnalysis(nn.Module):
    """A 7x7 convolution, four 3x3 ones of stride 2, each with ChannelNorm and ReLU, and a 3x3 one to the latents."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.width
        first = nn.Conv2d(3, width, 7, padding=3), ChannelNorm(width), nn.ReLU()
        layers: list[nn.Module] = []
        for _ in range(HALVINGS):
            layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), ChannelNorm(2 * width), nn.ReLU()]
            width *= 2
        last = nn.Conv2d(width, recipe.latents, 3, padding=1)
        with torch.no_grad():
            last.weight.mul_(LATENT_START)
        self.layers = nn.Sequential(*first, Inner(*layers), last)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """As `ShuffleAnalysis.forward`; `scale` is unused, these recipes have one rate."""
        return self.layers(x - 0.5)  # type: ignore[no-any-return]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with ChannelNorm, ReLU between them, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            ChannelNorm(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            ChannelNorm(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same shape."""
        return x + self.layers(x)  # type: ignore[no-any-return]


class HiFiCSynthesis(nn.Module):
    """Residual blocks at 1/16, four transposed 3x3 convolutions, and a 7x7 one to the picture."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        width = recipe.width * 2**HALVINGS
        self.head = nn.Sequential(
            ChannelNorm(recipe.latents), nn.Conv2d(recipe.latents, width, 3, padding=1), ChannelNorm(width)
        )
        self.blocks = Inner(*(ResidualBlock(width) for _ in range(recipe.blocks[1])))
        layers: list[nn.Module] = []
        for _ in range(HALVINGS):
            up = nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, ChannelNorm(width // 2), nn.ReLU()]
            width //= 2
        last = nn.Conv2d(width, 3, 7, padding=3)
        with torch.no_grad():
            last.weight.mul_(SHOWN_START)
        self.tail = nn.Sequential(Inner(*layers), last)

    def forward(self, y: Tensor, scale: Tensor) -> Tensor:
        """As `ShuffleSynthesis.forward`; `scale` is unused, these recipes have one rate."""
        x = self.head(y)
        return self.tail(x + self.blocks(x)) + 0.5  # type: ignore[no-any-return]
