"""Where training starts: latents that hold a picture of half the size, and what follows from them by interpolation.

A fresh model is a working pyramid coder; training adds to the latents and to the predictions. The 5 channels are luma,
25 levels of 10.6 grey values, and two chromas (YCoCg) as two digits each, of 1.25 and 15 grey values. Fine chromas pay:
a decoder that knows them to 5 grey values spends half a bit more per sub-pixel (held-out training tiles).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .units import COLOUR_MAX, COLOURS, LATENTS, LEVEL_MAX

LUMA = COLOUR_MAX / 2 / LEVEL_MAX  # grey values per level
FINE, COARSE = 1.25, 15.0  # the fine digit reaches +-15

# R, G, B -> luma, orange and green chroma; the inverse has ones only
_TO_LUMA = torch.tensor([[0.25, 0.5, 0.25], [0.5, 0.0, -0.5], [-0.25, 0.5, -0.25]])


def to_luma(x: Tensor) -> Tensor:
    """(b, 3, h, w) in [-1, 1] -> luma and chromas in grey values."""
    return F.conv2d(x * (COLOUR_MAX / 2), _TO_LUMA.to(x.device)[:, :, None, None])


def latents(values: Tensor) -> Tensor:
    """Luma and chromas (b, 3, h, w) -> levels (b, 5, h, w), not rounded but for the coarse digits.

    Those are 0 where the fine digit reaches far enough.
    """
    luma, chroma = values[:, :1], values[:, 1:]
    coarse = torch.sign(chroma) * (-torch.floor(chroma.abs() * (-1 / COARSE)) - 1).clamp(0, LEVEL_MAX)
    return torch.cat([luma / LUMA, (chroma - coarse * COARSE) / FINE, coarse], 1)


def synthesis_start(scale: int) -> Tensor:
    """(4 * channels, 5, 3, 3): from levels to what they predict, as `PixelShuffle` reads it: channel, then place.

    Scale 1 predicts colours in grey values, the others the levels before. A place of the 2x2 lies a quarter of the way
    towards the neighbours on its side, which central differences tell.
    """
    if scale == 1:
        digits = torch.tensor([[LUMA, 0, 0, 0, 0], [0, FINE, 0, COARSE, 0], [0, 0, FINE, 0, COARSE]])
        middle = torch.linalg.inv(_TO_LUMA) @ digits
    else:
        middle = torch.eye(LATENTS)
    weight = torch.zeros(COLOURS if scale == 1 else LATENTS, 4, LATENTS, 3, 3)
    for place in range(4):
        weight[:, place, :, 1, 1] = middle
        towards = 2 * (place // 2), 2 * (place % 2)
        weight[:, place, :, towards[0], 1] += middle / 8
        weight[:, place, :, 2 - towards[0], 1] -= middle / 8
        weight[:, place, :, 1, towards[1]] += middle / 8
        weight[:, place, :, 1, 2 - towards[1]] -= middle / 8
    return weight.flatten(0, 1)
