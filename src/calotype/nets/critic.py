"""A critic of a generative codec: it tells pictures from decoded ones, patch by patch, and knows the latents.

Mentzer et al. 2020, "High-Fidelity Generative Image Compression", fig. 2 and sec. 3.2: a PatchGAN (Isola et al. 2017)
with spectral norms (Miyato et al. 2018), conditioned on the latents; losses that do not saturate (Goodfellow et al.
2014, sec. 3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from .objective import ACCURACY, Figures

SLOPE = 0.2  # of the leaky rectifiers
TOLD = 12  # channels that the latents become


class Critic(nn.Module):
    """Pictures and latents to a logit per patch, positive where the picture seems to be no decoded one.

    Parameters
    ----------
    latents
        Channels of the latents.
    width
        Features of the first layer, 64 in the paper; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, latents: int, width: int = 64) -> None:
        super().__init__()
        self.told = spectral_norm(nn.Conv2d(latents, TOLD, 3, padding=1))
        layers: list[nn.Module] = []
        channels = 3 + TOLD
        for features, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (8 * width, 1)):
            layers += [spectral_norm(nn.Conv2d(channels, features, 4, stride, padding=1)), nn.LeakyReLU(SLOPE)]
            channels = features
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels, 1, 1)))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Pictures (b, 3, h, w) in [0, 1] and their latents (b, latents, h', w') -> logits (b, 1, h/8 - 1, w/8 - 1)."""
        told = F.interpolate(F.leaky_relu(self.told(y), SLOPE), x.shape[2:], mode="nearest")
        return self.layers(torch.cat([x, told], 1))  # type: ignore[no-any-return]


def critic_loss(critic: Critic, real: Tensor, decoded: Tensor, y: Tensor) -> tuple[Tensor, Figures]:
    """What the critic minimises, and the share of patches that it tells rightly.

    Pictures as they were and as they are decoded, each (b, 3, h, w), from the same latents. Nothing flows back to them.
    """
    real, decoded, y = real.detach(), decoded.detach(), y.detach()
    of_real, of_decoded = critic(torch.cat([real, decoded]), torch.cat([y, y])).chunk(2)
    loss = F.softplus(-of_real).mean() + F.softplus(of_decoded).mean()
    right = (of_real > 0).float().mean() + (of_decoded < 0).float().mean()
    return loss, {ACCURACY: 0.5 * right}


def deception(critic: Critic, decoded: Tensor, y: Tensor) -> Tensor:
    """What the network that decoded the pictures (b, 3, h, w) minimises to pass for none: (b,)."""
    return F.softplus(-critic(decoded, y.detach())).mean((1, 2, 3))
