"""What a `vae` model minimises: bpp + lmbda * distortion (Ballé et al. 2018, eq. 2), at a random rate per image.

Recipes of a second synthesis minimise what `realism.py` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ...errors import Unsupported, WeightsNotFound
from ...nets.ms_ssim import ms_ssim
from ...nets.objective import Objective
from ...nets.perceptual import open_lpips
from ...nets.residual import Block
from ...runtime.weights import Weights
from .forward import forward
from .freeze import freeze, freeze_realism, thaw, thaw_realism
from .networks import VAE, HyperAnalysis
from .realism import Realism, realism_loss
from .recipe import HYPER_STRIDE, Recipe

LOSS_SCALE = 0.1  # brings the loss near 1
SQUARED_ERROR = 255.0**2  # what distortion counts for, in units of lmbda
DISSIMILARITY = 1300.0  # likewise; the field trains pairs at .0018 and 2.4, .0035 and 4.58 ... .18 and 220


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


@dataclass(frozen=True)
class VAETraining:
    """How every recipe is trained: `calotype.train.protocol.Training`."""

    perceptual: Path | None = None
    """Folder of the networks that a second synthesis is judged by; None: beside the folder in CALOTYPE_DATA."""

    def build(self, recipe: str) -> VAE | Realism:
        """A fresh model. Raises `WeightsNotFound` if it is a second synthesis of weights that are not there."""
        found = Recipe.load(recipe)
        if found.of is None:
            return VAE(found)
        weights = _shipped(found.of)
        return Realism(found, thaw(weights), weights.digest)

    def thaw(self, weights: Weights) -> VAE | Realism:
        if weights.companion_of is None:
            return thaw(weights)
        model = cast(Realism, self.build(weights.recipe["name"]))
        return thaw_realism(model, weights)

    def freeze(self, model: VAE | Realism) -> bytes:
        return freeze_realism(model) if isinstance(model, Realism) else freeze(model)

    def objectives(self, model: VAE | Realism) -> Sequence[Objective[Any]]:
        if isinstance(model, Realism):
            return [Objective(partial(realism_loss, open_lpips(self.perceptual)), list(model.synthesis.parameters()))]
        if self.perceptual is not None:
            raise Unsupported(f"vae.{model.recipe.name} is not trained by a perceptual network; leave that folder out")
        return [Objective(loss, list(model.parameters()))]

    def validation_rates(self, model: VAE | Realism) -> tuple[float, ...]:
        return (0.1, 0.3, 0.5, 0.7, 0.9) if model.recipe.variable_rate else (0.0,)

    def crop_unit(self, model: VAE | Realism) -> int:
        return HYPER_STRIDE

    def halve_precision(self, model: VAE | Realism) -> bool:
        """Residual blocks, which are nearly all of the transforms, and hyper-analysis.

        What surrounds them holds pixels and latents, which need the digits; so do exact networks and likelihoods.
        """
        found = [module for module in model.modules() if isinstance(module, Block | HyperAnalysis)]
        for module in found:
            module.half_type = torch.bfloat16
        return bool(found)


def _shipped(name: str) -> Weights:
    """Weights that ship with this codec. Raises `WeightsNotFound`."""
    path = resources.files(__package__) / "weights" / f"{name}.calow"
    if not path.is_file():
        raise WeightsNotFound(f"{path} is not there: train and export vae.{name} to that place first")
    return Weights(path.read_bytes(), str(path))


TRAINING = VAETraining()
