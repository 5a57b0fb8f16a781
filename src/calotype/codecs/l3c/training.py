"""What an `l3c` model minimises: the bits of a picture and of its latents (Mentzer et al. 2019, eq. 9)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...nets.straight_through import clamp_inward, ste_floor, ste_round
from .freeze import freeze, thaw
from .networks import L3C
from .pyramid import digits_of
from .recipe import Recipe
from .units import COEFFICIENT_BITS, COLOUR_MAX, COLOURS, LATENTS, LEVEL_MAX, LEVELS, SCALES, WEIGHTS_PER_OCTAVE

__all__ = ["build", "fixed_numbers", "freeze", "loss", "thaw"]

_LOCATION_UNIT = 64  # per symbol, as in coding/mixture.py, which cannot be imported where only training is installed
_SCALES_PER_OCTAVE = 8
_TOTAL = 2**16
FREE_SHARE = 0.1  # of the loss, which is counted without a least frequency


def build(recipe_name: str) -> L3C:
    """A fresh model of a shipped recipe."""
    return L3C(Recipe.load(recipe_name))


def mixture_bits(symbols: Tensor, location: Tensor, scale: Tensor, weight: Tensor, count: int) -> Tensor:
    """Bits of symbols 0 .. count - 1 (b, c, h, w) under mixtures (b, c, k, h, w) in the coder's units, in two ways.

    (2, b, c, h, w): as the coder counts them, but for the rounding of its table, with a frequency of at least 1 for
    each symbol; and without that, so that symbols far from where they were expected have a gradient, too.

    With L the logistic function, L(a) - L(b) = L(a) L(-b) (1 - exp(b - a)).
    """
    symbols = symbols[:, :, None]
    distance = symbols - location / _LOCATION_UNIT
    sharpness = torch.exp2(3 - scale / _SCALES_PER_OCTAVE)
    below = F.logsigmoid((distance + 0.5) * sharpness)
    above = F.logsigmoid((0.5 - distance) * sharpness)
    first, last = symbols <= 0, symbols >= count - 1
    inner = torch.where(last, 0.0, below) + torch.where(first, 0.0, above)
    parts = inner + torch.where(first | last, 0.0, torch.log(-torch.expm1(-sharpness)))
    shares = torch.log_softmax(weight * (math.log(2) / WEIGHTS_PER_OCTAVE), 2)
    log_probability = torch.logsumexp(shares + parts, 2)
    coded = -torch.log2((log_probability.exp() * (_TOTAL - count) + 1) / _TOTAL)
    return torch.stack([coded, log_probability * (-1 / math.log(2))])


def colour_bits(model: L3C, colours: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """`mixture_bits` of colours 0 .. 255 (b, 3, h, w); G's locations move with R, B's with both."""
    b, _, h, w = colours.shape
    location, scale, weight, coefficient = (p.reshape(b, COLOURS, model.recipe.mixtures, h, w) for p in parameters)
    red, green, blue = (location + COLOUR_MAX * _LOCATION_UNIT // 2).unbind(1)
    green_red, blue_red, blue_green = coefficient.unbind(1)
    r, g = (colours[:, c, None] * _LOCATION_UNIT for c in (0, 1))
    green = green + ste_floor(green_red * (r - red) / 2**COEFFICIENT_BITS)
    moved = blue_red * (r - red) + blue_green * (g - green)
    blue = blue + ste_floor(moved / 2**COEFFICIENT_BITS)
    return mixture_bits(colours, torch.stack([red, green, blue], 1), scale, weight, COLOUR_MAX + 1)


def level_bits(model: L3C, levels: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """`mixture_bits` of levels (b, 5, h, w)."""
    b, _, h, w = levels.shape
    location, scale, weight = (p.reshape(b, LATENTS, model.recipe.mixtures, h, w) for p in parameters)
    return mixture_bits(levels + LEVEL_MAX, location + LEVEL_MAX * _LOCATION_UNIT, scale, weight, LEVELS)


def bits(model: L3C, x: Tensor) -> list[Tensor]:
    """Bits (2, b), counted in the two ways of `mixture_bits`, of pictures (b, 3, h, w) in [0, 1] and of each scale.

    Levels are rounded, with straight-through gradients.
    """
    analysed = model.analysis(2 * x - 1)

    def levels_of(scale: int, expected: Tensor | None) -> Tensor:
        wanted = analysed[scale - 1]
        if model.recipe.pyramid:
            wanted = digits_of(wanted if expected is None else wanted - expected)
        return ste_round(clamp_inward(wanted, -LEVEL_MAX, LEVEL_MAX))

    found: list[Tensor] = []
    features = expected = None
    levels = coarsest = levels_of(SCALES, None)
    for scale in range(SCALES, 0, -1):
        features, *parameters = model.stages[scale - 1](levels, features, expected)
        if scale == 1:
            each = colour_bits(model, torch.round(x * COLOUR_MAX), tuple(parameters))
        else:
            if model.recipe.pyramid:
                expected, *parameters = parameters
            levels = levels_of(scale - 1, expected)
            each = level_bits(model, levels, tuple(parameters))
        found.insert(0, each.sum((2, 3, 4)))
    uniform = math.log2(LEVELS) * coarsest[0].numel()  # the coarsest scale has no model
    return [*found, torch.full_like(found[0], uniform)]


def fixed_numbers(model: L3C) -> list[float]:
    """Any one: there is one rate."""
    return [0.0]


def loss(model: L3C, x: Tensor, numbers: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Bits per sub-pixel of a batch (b, 3, h, w) in [0, 1], and what to log; the models have no rates for `numbers`."""
    parts = [part.mean(1) / x[0].numel() for part in bits(model, x)]
    coded, free = torch.stack(parts).sum(0)
    names = ("bpsp_colours", "bpsp_scale_1", "bpsp_scale_2", "bpsp_scale_3")
    figures = {name: part[0].detach() for name, part in zip(names, parts, strict=True)}
    return coded + FREE_SHARE * (free - coded), {"bpsp": coded.detach(), **figures}
