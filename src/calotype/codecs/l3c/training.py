"""What an `l3c` model minimises: the bits of an image and of its latents (Mentzer et al. 2019, eq. 9)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...coding.units import LOCATION_UNIT
from ...nets.mixture import following_bits, mixture_bits
from ...nets.objective import Objective
from ...nets.straight_through import clamp_inward, ste_round
from ...runtime.weights import Weights
from .digits import are_exact, digits_of, nearest_colours
from .freeze import freeze, thaw
from .networks import L3C
from .recipe import Recipe
from .units import COLOUR_MAX, COLOURS, LATENTS, LEVEL_MAX, LEVELS, SCALES

FREE_SHARE = 0.1  # of the loss, which is counted without a least frequency


def colour_bits(model: L3C, colours: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """`mixture_bits` of colours 0 .. 255 (b, 3, h, w); G's locations move with R, B's with both."""
    b, _, h, w = colours.shape
    location, scale, weight, coefficient = (p.reshape(b, COLOURS, model.recipe.mixtures, h, w) for p in parameters)
    location = location + COLOUR_MAX * LOCATION_UNIT // 2
    return following_bits(colours, colours, COLOUR_MAX + 1, location, scale, weight, coefficient)


def level_bits(model: L3C, levels: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    """`mixture_bits` of levels (b, 5, h, w)."""
    b, _, h, w = levels.shape
    location, scale, weight = (p.reshape(b, LATENTS, model.recipe.mixtures, h, w) for p in parameters)
    return mixture_bits(levels + LEVEL_MAX, location + LEVEL_MAX * LOCATION_UNIT, scale, weight, LEVELS)


def bits(model: L3C, x: Tensor) -> list[Tensor]:
    """Bits (2, b), counted in the two ways of `mixture_bits`, of images (b, 3, h, w) in [0, 1] and of each scale.

    Levels are rounded, with straight-through gradients. Of the coarsest scale all values count as equally likely; where
    recipes are joint the coder does better (`coarsest.py`).
    """
    latents = [] if model.analysis is None else model.analysis(2 * x - 1)
    colours = torch.round(x * COLOUR_MAX)

    def samples(scale: int) -> Tensor:
        return colours[:, :, :: 2**scale, :: 2**scale]

    def levels_of(scale: int, expected: Tensor | None) -> Tensor:
        if expected is None:
            return ste_round(clamp_inward(latents[scale - 1], -LEVEL_MAX, LEVEL_MAX))
        return torch.stack(digits_of(samples(scale).unbind(1), nearest_colours(expected).unbind(1)), 1)

    found: list[Tensor] = []
    features = None
    expected = None if latents else torch.zeros_like(samples(SCALES))
    levels = coarsest = levels_of(SCALES, expected)
    for scale in range(SCALES, 0, -1):
        known = levels
        features, *parameters = model.stages[scale - 1](levels, features, expected)
        if scale > 1:
            if expected is not None:
                expected, *parameters = parameters
            levels = levels_of(scale - 1, expected)
        if scale == 1 or model.recipe.joint:
            each = colour_bits(model, samples(scale - 1), tuple(parameters))
        else:
            each = level_bits(model, levels, tuple(parameters))
        if expected is not None:
            each = each * _coded(torch.ones_like(known[:, 0]) if model.recipe.joint else are_exact(known.unbind(1)))
        found.insert(0, each.sum((2, 3, 4)))
    values, first = (COLOUR_MAX + 1, samples(SCALES)) if model.recipe.joint else (LEVELS, coarsest)
    return [*found, torch.full_like(found[0], math.log2(values) * first[0].numel())]


def _coded(known: Tensor) -> Tensor:
    """(b, 1, 2h, 2w): 0 where samples lie that are known, as a mask (b, h, w) says; 1 elsewhere."""
    free = known.float()
    return 1 - F.pixel_shuffle(torch.stack([free, *[torch.zeros_like(free)] * 3], 1), 2)


def loss(model: L3C, x: Tensor, rates: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Bits per sub-pixel of a batch (b, 3, h, w) in [0, 1], and what to log; `rates` make no difference."""
    parts = [part.mean(1) / x[0].numel() for part in bits(model, x)]
    coded, free = torch.stack(parts).sum(0)
    names = ("bpsp_colours", "bpsp_scale_1", "bpsp_scale_2", "bpsp_scale_3")
    figures = {name: part[0].detach() for name, part in zip(names, parts, strict=True)}
    return coded + FREE_SHARE * (free - coded), {"bpsp": coded.detach(), **figures}


class L3CTraining:
    """How every recipe is trained: `calotype.train.protocol.Training`."""

    def build(self, recipe: str) -> L3C:
        return L3C(Recipe.load(recipe))

    def thaw(self, weights: Weights) -> L3C:
        return thaw(weights)

    def freeze(self, model: L3C) -> bytes:
        return freeze(model)

    def objectives(self, model: L3C) -> list[Objective[L3C]]:
        return [Objective(loss, list(model.parameters()))]

    def validation_rates(self, model: L3C) -> tuple[float]:
        return (0.0,)  # any: there is one rate

    def crop_unit(self, model: L3C) -> int:
        return 1 << SCALES

    def halve_precision(self, model: L3C) -> bool:
        return False  # nearly all networks are exact


TRAINING = L3CTraining()
