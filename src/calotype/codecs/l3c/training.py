"""What an `l3c` model minimises: the bits of a picture and of its latents (Mentzer et al. 2019, eq. 9)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...nets.straight_through import clamp_inward, ste_floor, ste_round
from .freeze import freeze, thaw
from .networks import L3C
from .recipe import Recipe
from .units import COEFFICIENT_BITS, COLOUR_MAX, COLOURS, LATENTS, LEVEL_MAX, LEVELS, SCALES, WEIGHTS_PER_OCTAVE

__all__ = ["build", "freeze", "loss", "thaw"]

_LOCATION_UNIT = 64  # per symbol, as in coding/mixture.py, which cannot be imported where only training is installed
_SCALES_PER_OCTAVE = 8
_TOTAL = 2**16


def build(recipe_name: str) -> L3C:
    """A fresh model of a shipped recipe."""
    return L3C(Recipe.load(recipe_name))


def mixture_bits(symbols: Tensor, location: Tensor, scale: Tensor, weight: Tensor, count: int) -> Tensor:
    """Bits of symbols 0 .. count - 1 (b, c, h, w) under mixtures (b, c, k, h, w) in the coder's units.

    As the coder counts them, but for the rounding of its table: each symbol has at least 1 / 2^16.
    """
    symbols = symbols[:, :, None]
    distance = symbols - location / _LOCATION_UNIT
    sharpness = torch.exp2(3 - scale / _SCALES_PER_OCTAVE)
    above = torch.sigmoid((distance + 0.5) * sharpness)
    below = torch.sigmoid((distance - 0.5) * sharpness)
    above = torch.where(symbols >= count - 1, torch.ones_like(above), above)
    below = torch.where(symbols <= 0, torch.zeros_like(below), below)
    shares = torch.softmax(weight * (math.log(2) / WEIGHTS_PER_OCTAVE), 2)
    probability = (shares * (above - below)).sum(2)
    return -torch.log2((probability * (_TOTAL - count) + 1) / _TOTAL)


def colour_bits(model: L3C, colours: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """Bits of colours 0 .. 255 (b, 3, h, w); G's locations move with R, B's with both."""
    b, _, h, w = colours.shape
    base, *others = parameters
    location, scale, weight, coefficient = (p.reshape(b, COLOURS, model.recipe.mixtures, h, w) for p in others)
    red, green, blue = (location + base[:, :, None] + COLOUR_MAX * _LOCATION_UNIT // 2).unbind(1)
    green_red, blue_red, blue_green = coefficient.unbind(1)
    r, g = (colours[:, c, None] * _LOCATION_UNIT for c in (0, 1))
    green = green + ste_floor(green_red * (r - red) / 2**COEFFICIENT_BITS)
    moved = blue_red * (r - red) + blue_green * (g - green)
    blue = blue + ste_floor(moved / 2**COEFFICIENT_BITS)
    return mixture_bits(colours, torch.stack([red, green, blue], 1), scale, weight, COLOUR_MAX + 1)


def level_bits(model: L3C, levels: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """Bits of levels (b, 5, h, w)."""
    b, _, h, w = levels.shape
    base, *others = parameters
    location, scale, weight = (p.reshape(b, LATENTS, model.recipe.mixtures, h, w) for p in others)
    location = location + base[:, :, None] + LEVEL_MAX * _LOCATION_UNIT
    return mixture_bits(levels + LEVEL_MAX, location, scale, weight, LEVELS)


def bits(model: L3C, x: Tensor) -> list[Tensor]:
    """Bits (b,) of pictures (b, 3, h, w) in [0, 1], and of the latents of scales 1, 2, 3.

    Levels are rounded, with straight-through gradients.
    """
    levels = [ste_round(clamp_inward(z, -LEVEL_MAX, LEVEL_MAX)) for z in model.analysis(2 * x - 1)]
    found: list[Tensor] = []
    features: Tensor | None = None
    for scale in range(SCALES, 0, -1):
        features, *parameters = model.stages[scale - 1](levels[scale - 1], features)
        if scale == 1:
            each = colour_bits(model, torch.round(x * COLOUR_MAX), tuple(parameters))
        else:
            each = level_bits(model, levels[scale - 2], tuple(parameters))
        found.insert(0, each.sum((1, 2, 3)))
    uniform = math.log2(LEVELS) * levels[-1][0].numel()  # the coarsest scale has no model
    return [*found, torch.full_like(found[0], uniform)]


def loss(model: L3C, x: Tensor, numbers: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Bits per sub-pixel of a batch (b, 3, h, w) in [0, 1], and what to log; the models have no rates for `numbers`."""
    parts = [part.mean() / x[0].numel() for part in bits(model, x)]
    total = torch.stack(parts).sum()
    names = ("bpsp_colours", "bpsp_scale_1", "bpsp_scale_2", "bpsp_scale_3")
    figures = {name: part.detach() for name, part in zip(names, parts, strict=True)}
    return total, {"bpsp": total.detach(), **figures}
