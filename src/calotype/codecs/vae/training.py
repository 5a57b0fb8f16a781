"""What a `vae` model minimises: bpp + lmbda * distortion (Ballé et al. 2018, eq. 2), at a random rate per image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...nets.density import gaussian_bits
from ...nets.ms_ssim import ms_ssim
from ...nets.objective import Objective
from ...nets.residual import Block
from ...nets.straight_through import ste_round
from ...runtime.weights import Weights
from .cells import put_step, step_of
from .freeze import freeze, thaw
from .networks import VAE, HyperAnalysis
from .recipe import HYPER_STRIDE, Recipe
from .scales import LATENT_UNIT, SIGMA_COUNT, SIGMA_MAX, SIGMA_MIN

LOSS_SCALE = 0.1  # brings the loss near 1
SQUARED_ERROR = 255.0**2  # what distortion counts for, in units of lmbda
DISSIMILARITY = 1300.0  # likewise; the field trains pairs at .0018 and 2.4, .0035 and 4.58 ... .18 and 220


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
    gain, inverse_gain = model.gains(t)
    analysis_scale, synthesis_scale = model.scales(t)
    scaled = model.analysis(x, analysis_scale) * gain
    if model.recipe.prior == "factorized":
        bits = model.side.bits(_side_symbols(model, scaled), t).sum((1, 2, 3))
        decoded = ste_round(scaled)
    else:
        decoded, bits = _code_gaussian(model, scaled, t)
    return model.synthesis(decoded * inverse_gain, synthesis_scale), bits


def _code_gaussian(model: VAE, scaled: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled latents -> as decoded, and bits (b,)."""
    z = model.hyper_analysis(scaled)
    bits = model.side.bits(_side_symbols(model, z), t).sum((1, 2, 3))
    features = model.hyper_synthesis(ste_round(z), model.rate_plane(t, *z.shape[2:]))
    rate = model.rate_plane(t, *features.shape[2:])
    steps = model.recipe.context_steps
    known: list[Tensor] = []
    decoded = torch.empty_like(scaled, memory_format=torch.contiguous_format)
    for step, network in enumerate(model.context):
        mean, index = network(features, rate, torch.cat(known, 1) if known else None)
        y = torch.cat(step_of(scaled, step, steps), 1)
        symbols = ste_round(y - mean / LATENT_UNIT)
        bits = bits + gaussian_bits(symbols, _sigma(index)).sum((1, 2, 3))
        coded = symbols * LATENT_UNIT + mean
        known.append(coded)
        put_step(decoded, coded, step, steps)
    return decoded / LATENT_UNIT, bits


def loss(model: VAE, x: Tensor, rates: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a batch (b, 3, h, w) in [0, 1] at rates (b,) in [0, 1), and what to log.

    Losses grow about with the square root of lambda, so they are divided by it: a percent saved counts the same at
    every rate.
    """
    decoded, bits = forward(model, x, rates)
    bpp = bits / (x.shape[2] * x.shape[3])
    lost, figures = distortion(model.recipe, decoded, x)
    lmbda = model.lmbda(rates)
    total = ((bpp + lmbda * lost) * lmbda.rsqrt()).mean() * LOSS_SCALE
    return total, {"bpp": bpp.detach().mean(), **figures}


def distortion(recipe: Recipe, decoded: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """How far decoded images (b, 3, h, w) are from x by the recipe's metric (b,), and what to log."""
    mse = (decoded - x).square().mean((1, 2, 3))
    figures = {"psnr": -10 * mse.detach().clamp_min(1e-10).log10().mean()}
    if recipe.metric == "mse":
        return SQUARED_ERROR * mse, figures
    similarity = ms_ssim(decoded, x)
    return DISSIMILARITY * (1 - similarity), figures | {"ms_ssim": similarity.detach().mean()}


class VAETraining:
    """How every recipe is trained: `calotype.train.protocol.Training`."""

    def build(self, recipe: str) -> VAE:
        return VAE(Recipe.load(recipe))

    def thaw(self, weights: Weights) -> VAE:
        return thaw(weights)

    def freeze(self, model: VAE) -> bytes:
        return freeze(model)

    def objectives(self, model: VAE) -> list[Objective[VAE]]:
        return [Objective(loss, list(model.parameters()))]

    def validation_rates(self, model: VAE) -> tuple[float, ...]:
        return (0.1, 0.3, 0.5, 0.7, 0.9) if model.recipe.variable_rate else (0.0,)

    def crop_unit(self, model: VAE) -> int:
        return HYPER_STRIDE

    def halve_precision(self, model: VAE) -> bool:
        """Residual blocks, which are nearly all of the transforms, and hyper-analysis.

        What surrounds them holds pixels and latents, which need the digits; so do exact networks and likelihoods.
        """
        found = [module for module in model.modules() if isinstance(module, Block | HyperAnalysis)]
        for module in found:
            module.half_type = torch.bfloat16
        return bool(found)


TRAINING = VAETraining()
