"""Where training starts: latents are means and details of 2x2 places in a luma-chroma space, predictions the inverse.

A fresh model is a working pyramid coder. Channels: luma, two chromas (YCoCg), and luma's differences from left to right
and from top to bottom. Coarser scales see the luma and chromas of the scale before; its differences they take as 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .units import COLOURS, LATENTS

# R, G, B -> luma, orange and green chroma; each in [-1, 1] for colours there
_TO_LUMA = torch.tensor([[0.25, 0.5, 0.25], [0.5, 0.0, -0.5], [-0.25, 0.5, -0.25]])
# of luma, two chromas, two differences: the share of [-1, 1] that photographs use of them is small
_GAINS = torch.tensor([1.0, 2.0, 2.0, 4.0, 4.0])
# signs of the four places, row by row: mean, left - right, top - bottom
_PLACES = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1]])


def analysis_start(scale: int) -> Tensor:
    """(5, channels, 2, 2): from colours (scale 1) or the latents before to latents."""
    weight = torch.zeros(LATENTS, COLOURS if scale == 1 else LATENTS, 4)
    to_luma = _TO_LUMA if scale == 1 else torch.eye(LATENTS)[:COLOURS]
    gains = _GAINS if scale == 1 else torch.tensor([1.0, 1, 1, 4, 4])
    for latent, (channel, place) in enumerate([(0, 0), (1, 0), (2, 0), (0, 1), (0, 2)]):
        weight[latent] = to_luma[channel][:, None] * _PLACES[place] / 4 * gains[latent]
    return weight.reshape(*weight.shape[:2], 2, 2)


def synthesis_start(scale: int) -> Tensor:
    """(4 * channels, 5, 3, 3): from latents to what they came from, as `PixelShuffle` reads it: channel, then place.

    Chromas, without differences of their own, rise from block to block: a quarter of the way from the middle.
    """
    weight = torch.zeros(COLOURS if scale == 1 else LATENTS, 4, LATENTS, 3, 3)
    from_luma = torch.linalg.inv(_TO_LUMA) if scale == 1 else torch.eye(LATENTS)[:, :COLOURS]
    gains = _GAINS if scale == 1 else torch.tensor([1.0, 1, 1, 4, 4])
    for latent, (channel, place) in enumerate([(0, 0), (1, 0), (2, 0), (0, 1), (0, 2)]):
        colours = from_luma[:, channel, None] / gains[latent]
        weight[:, :, latent, 1, 1] += colours * _PLACES[place]
        if channel > 0:
            across, down = colours * _PLACES[1] / 8, colours * _PLACES[2] / 8
            weight[:, :, latent, 1, 0] += across
            weight[:, :, latent, 1, 2] -= across
            weight[:, :, latent, 0, 1] += down
            weight[:, :, latent, 2, 1] -= down
    return weight.flatten(0, 1)
