"""What a `nearlossless` model minimises: the bits of both layers, and the error of the base's picture.

Crops are coded with many bounds, half of them without loss. Where samples are inexact, the bits that count are those
of the exact ones under the distributions that a decoder has, which sums them over bins (Bai et al. 2021, sec. 3.4).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ...coding.units import LOCATION_UNIT
from ...nets.mixture import following_bits, mixture_bits
from ...nets.objective import Objective
from ...runtime.weights import Weights
from .freeze import freeze, thaw
from .networks import NearLossless, Phase
from .recipe import Recipe
from .units import (
    BLOCK,
    COLOUR_MAX,
    COLOURS,
    DEAD_ZONE,
    LEVEL_MAX,
    LEVEL_PHASES,
    LEVEL_SYMBOLS,
    LEVELS,
    LUMA_LEVELS,
    ORDER,
    PHASES,
    STEP,
    basis,
    bound_inputs,
    seen,
)

EXACT_SHARE = 0.5  # of the crops
BOUNDS = 16  # the rest has bounds 1 to this, each octave as often
GREY_SHARE = 1 / 16  # of the crops, which have one colour
FREE_SHARE = 0.1  # of the loss, which is counted without a least frequency
ERROR_WEIGHT = 1e-3  # of the mean square error of the base, in squares of grey values


def analyse(planes: Tensor) -> Tensor:
    """Planes 0 .. 255 (b, 3, h, w) -> levels (b, LEVELS, h / 8, w / 8)."""
    kernel = torch.from_numpy(basis()).reshape(LEVELS, COLOURS, BLOCK, BLOCK).to(planes) / STEP**2
    found = F.conv2d(planes - (COLOUR_MAX + 1) / 2, kernel, stride=BLOCK)
    return (found.sign() * torch.floor(found.abs() + DEAD_ZONE)).clamp(-LEVEL_MAX, LEVEL_MAX)


def bounds_of(rates: Tensor) -> Tensor:
    """Bounds (b,) for rates in [0, 1)."""
    octaves = (rates - EXACT_SHARE).clamp_min(0) / (1 - EXACT_SHARE)
    return torch.where(rates < EXACT_SHARE, 0.0, torch.floor((BOUNDS + 1) ** octaves))


def quantised(planes: Tensor, picture: Tensor, bounds: Tensor) -> Tensor:
    """What a decoder finds in place of planes, (b, 3, h, w)."""
    width = 2 * bounds + 1
    missing = planes - picture
    bins = missing.sign() * torch.floor((missing.abs() + bounds) / width)
    return (picture + bins * width).clamp(0, COLOUR_MAX)


def level_bits(model: NearLossless, levels: Tensor, is_grey: Tensor) -> Tensor:
    """Bits (2, b) of levels (b, LEVELS, h, w), counted in the two ways of `mixture_bits`."""
    is_known = torch.zeros_like(levels[:, :1])
    total = levels.new_zeros(2, len(levels))
    has = torch.ones_like(levels[:, :, :1, :1])
    has[:, LUMA_LEVELS:] -= is_grey[:, None, None, None].float()
    for lattices in LEVEL_PHASES:
        location, scale, weight = (
            p.reshape(len(levels), LEVELS, -1, *levels.shape[2:]) for p in model.prior(levels * is_known, is_known)
        )
        now = torch.zeros_like(is_known)
        for lattice in lattices:
            now[(..., *lattice.of_pixels)] = 1
        each = mixture_bits(levels + LEVEL_MAX, location + LOCATION_UNIT * LEVEL_MAX, scale, weight, LEVEL_SYMBOLS)
        total = total + (each * now * has).sum((2, 3, 4))
        is_known = is_known + now
    return total


def sample_bits(
    phase: Phase, planes: Tensor, found: Tensor, picture: Tensor, features: Tensor, bounds: Tensor, is_grey: Tensor
) -> Tensor:
    """Bits (2, b) of a phase's samples, likewise."""
    place = (..., *phase.phase.of_pixels)
    slopes, off = seen(found, picture, phase.phase)
    hidden, expected = phase.hidden(torch.cat(slopes, 1), features, torch.cat(off, 1) if off else None)
    told = torch.from_numpy(bound_inputs()).to(planes)[bounds.long()]
    bits = planes.new_zeros(2, len(planes))
    for chosen, bound in ((bounds == 0, False), (bounds > 0, True)):
        part = torch.nonzero(chosen)[:, 0]
        if not len(part):
            continue
        parameters = phase.distributions(
            hidden[part], None if expected is None else expected[part], told[part] if bound else None
        )
        h, w = hidden.shape[2:]
        location, *others = (p.reshape(len(part), COLOURS, phase.mixtures, h, w) for p in parameters)
        location = location + picture[place][part][:, :, None] * LOCATION_UNIT
        each = following_bits(planes[place][part], found[place][part], COLOUR_MAX + 1, location, *others).sum((3, 4))
        has = torch.ones(len(part), COLOURS).to(planes)
        has[:, 1:] -= is_grey[part, None].float()
        bits[:, part] = (each * has).sum(2)
    return bits


def loss(model: NearLossless, x: Tensor, rates: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Bits per sub-pixel of a batch (b, 3, h, w) in [0, 1] and the base's error, and what to log."""
    planes = torch.round(x[:, ORDER] * COLOUR_MAX)
    bounds = bounds_of(rates)
    is_grey = torch.rand_like(rates) < (GREY_SHARE if model.training else 0.0)
    planes = torch.where(is_grey[:, None, None, None], planes[:, :1], planes)
    levels = analyse(planes)
    levels[:, LUMA_LEVELS:] *= ~is_grey[:, None, None, None]
    picture, coarse, fine = model.base(levels)
    error = (picture - planes).square().mean()
    picture = torch.where(is_grey[:, None, None, None], picture[:, :1], picture).detach()
    found = quantised(planes, picture, bounds[:, None, None, None])
    base = level_bits(model, levels, is_grey)
    phases = cast("list[Phase]", list(model.phases))
    parts = [
        sample_bits(phase, planes, found, picture, coarse if lattice.step == 4 else fine, bounds, is_grey)
        for phase, lattice in zip(phases, PHASES, strict=True)
    ]
    size = x[0].numel()
    coded, free = (base + torch.stack(parts).sum(0)) / size
    mean = coded.mean() + FREE_SHARE * (free - coded).mean()
    exact = (bounds == 0).float()
    share = exact / exact.sum().clamp_min(1)
    near = (1 - exact) / (1 - exact).sum().clamp_min(1)
    figures = {
        "bpsp": (coded * share).sum().detach(),
        "bpsp_context": (coded * near).sum().detach(),
        "bpsp_base": base[0].mean().detach() / size,
        "base_psnr": -10 * (error.detach() / COLOUR_MAX**2).clamp_min(1e-10).log10(),
    }
    return mean + ERROR_WEIGHT * error, figures


class NearLosslessTraining:
    """How every recipe is trained: `calotype.train.protocol.Training`."""

    def build(self, recipe: str) -> NearLossless:
        return NearLossless(Recipe.load(recipe))

    def thaw(self, weights: Weights) -> NearLossless:
        return thaw(weights)

    def freeze(self, model: NearLossless) -> bytes:
        return freeze(model)

    def objectives(self, model: NearLossless) -> list[Objective[NearLossless]]:
        return [Objective(loss, list(model.parameters()))]

    def validation_rates(self, model: NearLossless) -> tuple[float]:
        return (0.0,)  # without loss: what can be compared

    def crop_unit(self, model: NearLossless) -> int:
        return BLOCK

    def halve_precision(self, model: NearLossless) -> bool:
        return False  # all networks are exact


TRAINING = NearLosslessTraining()
