"""Coding as training sees it: images to rounded latents and their bits, with gradients, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...nets.density import gaussian_bits
from ...nets.straight_through import ste_round
from .cells import put_step, step_of
from .networks import VAE
from .scales import BIT_WORTH, LATENT_UNIT, SIGMA_COUNT, SIGMA_MAX, SIGMA_MIN


def _noise(x: Tensor) -> Tensor:
    return torch.rand_like(x) - 0.5


def _side_symbols(model: VAE, x: Tensor) -> Tensor:
    """What the factorised density sees: integers, or in training something near them that it can be fitted to."""
    return x + _noise(x) if model.training else torch.round(x)


def _sigma(index: Tensor) -> Tensor:
    low, high = math.log(SIGMA_MIN), math.log(SIGMA_MAX)
    return torch.exp(low + index * ((high - low) / (SIGMA_COUNT - 1)))


def forward(model: VAE, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Code images x (b, 3, h, w) in [0, 1] at rates t (b,): reconstruction and bits (b,).

    Rounding is straight-through, for the rate of Gaussian latents too: with noise there, low rates are overestimated
    threefold. Uniform noise stands for it only under the factorised density, and only while the model is in training.
    """
    decoded, bits = code(model, x, t)
    y, scale = as_shown(model, decoded, t)
    return model.synthesis(y, scale), bits


def as_shown(model: VAE, decoded: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """What synthesis takes: latents (b, latents, h, w) as decoded, no longer scaled; its scales (b, width, 1, 1)."""
    _, inverse_gain = model.gains(t)
    _, synthesis_scale = model.scales(t)
    return decoded * inverse_gain, synthesis_scale


def code(model: VAE, x: Tensor, t: Tensor, thrifty: bool = False) -> tuple[Tensor, Tensor]:
    """Code images as `forward` does: scaled latents as decoded (b, latents, h, w), and bits (b,).

    `thrifty` rounds Gaussian latents as the encoder does by default (`coding.rdoq`), without gradients.
    """
    gain, inverse_gain = model.gains(t)
    analysis_scale, _ = model.scales(t)
    scaled = model.analysis(x, analysis_scale) * gain
    if model.recipe.prior == "factorized":
        bits = model.side.bits(_side_symbols(model, scaled), t).sum((1, 2, 3))
        return ste_round(scaled), bits
    return _code_gaussian(model, scaled, t, bit_worth(inverse_gain, t) if thrifty else None)


def bit_worth(inverse_gain: Tensor, t: Tensor) -> Tensor:
    """What a bit is worth to each channel (b, latents, 1, 1), in squared error of a scaled latent."""
    importance = inverse_gain.square()
    low, high = BIT_WORTH
    usual = low * (high / low) ** t[:, None, None, None]
    return usual * importance.median(1, keepdim=True).values / importance


def _thrifty_round(x: Tensor, sigma: Tensor, worth: Tensor) -> Tensor:
    """The nearest integer or the next one towards zero, whichever costs less."""
    far = torch.round(x)
    near = far - torch.sign(far)
    costs = [(x - symbol).square() + worth * gaussian_bits(symbol, sigma) for symbol in (near, far)]
    return torch.where(costs[0] < costs[1], near, far)


def _code_gaussian(model: VAE, scaled: Tensor, t: Tensor, worth: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scaled latents -> as decoded, and bits (b,). Without `worth` they are rounded to the nearest integers."""
    z = model.hyper_analysis(scaled)
    bits = model.side.bits(_side_symbols(model, z), t).sum((1, 2, 3))
    features = model.hyper_synthesis(ste_round(z), model.rate_plane(t, *z.shape[2:]))
    rate = model.rate_plane(t, *features.shape[2:])
    steps = model.recipe.context_steps
    known: list[Tensor] = []
    decoded = torch.empty_like(scaled, memory_format=torch.contiguous_format)
    worths = None if worth is None else worth.expand_as(scaled)
    for step, network in enumerate(model.context):
        mean, index = network(features, rate, torch.cat(known, 1) if known else None)
        y = torch.cat(step_of(scaled, step, steps), 1)
        target = y - mean / LATENT_UNIT
        if worths is None:
            symbols = ste_round(target)
        else:
            symbols = _thrifty_round(target, _sigma(index), torch.cat(step_of(worths, step, steps), 1))
        bits = bits + gaussian_bits(symbols, _sigma(index)).sum((1, 2, 3))
        coded = symbols * LATENT_UNIT + mean
        known.append(coded)
        put_step(decoded, coded, step, steps)
    return decoded / LATENT_UNIT, bits
