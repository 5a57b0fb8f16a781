"""What a `vae` model minimises: bpp + lmbda * distortion (Ballé et al. 2018, eq. 2), at a random rate per image.

With a critic, what does not deceive it counts as distortion too (Mentzer et al. 2020, eq. 7). Recipes of a second
synthesis minimise what `realism.py` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import Unsupported, WeightsNotFound
from ...nets.critic import critic_loss, deception
from ...nets.ms_ssim import ms_ssim
from ...nets.objective import Figures, Objective
from ...nets.perceptual import Lpips, open_lpips
from ...nets.residual import Block, Inner
from ...runtime.weights import Weights
from .forward import as_shown, code, forward
from .freeze import CRITIC, freeze, freeze_realism, thaw, thaw_realism
from .networks import VAE
from .realism import Realism, doubt_realism, realism_loss, realism_samples
from .recipe import HYPER_STRIDE, Recipe

# Mentzer et al. 2020, appendix A.2: k_M for colours up to 255, k_P and beta, beside 1 / lambda bits per pixel.
FIDELITY, PERCEPTION, ADVERSARIAL = 0.075 / 32, 1.0, 0.15
SAMPLE_RATE = 0.2  # that samples of models for all rates are shown at: low, where most is lost
LOSS_SCALE = 0.1  # brings the loss near 1
SQUARED_ERROR = 255.0**2  # what distortion counts for, in units of lmbda
DISSIMILARITY = 1300.0  # likewise; the field trains pairs at .0018 and 2.4, .0035 and 4.58 ... .18 and 220


def loss(model: VAE, x: Tensor, rates: Tensor, lpips: nn.Module | None = None) -> tuple[Tensor, Figures]:
    """Loss of a batch (b, 3, h, w) in [0, 1] at rates (b,) in [0, 1), and what to log.

    Losses grow about with the square root of lambda, so they are divided by it: a percent saved counts the same at
    every rate. With a `rate_target`, the batch's rate decides which of the two lambdas counts.

    Parameters
    ----------
    lpips
        Gives distances (b,) of two batches, for recipes whose metric is perceptual.
    """
    recipe = model.recipe
    decoded, bits = code(model, x, rates)
    y, scale = as_shown(model, decoded, rates)
    shown = model.synthesis(y, scale)
    bpp = bits / (x.shape[2] * x.shape[3])
    lost, figures = distortion(recipe, shown, x, lpips)
    figures = {"bpp": bpp.detach().mean(), **figures}
    if model.critic is not None and model.training:
        deceived = deception(model.critic, shown, y)
        lost, figures = lost + ADVERSARIAL * deceived, figures | {"deception": deceived.detach().mean()}
    if recipe.rate_target:
        low, high = recipe.lmbda
        too_much = figures["bpp"] > recipe.rate_target
        return (bpp * torch.where(too_much, 1 / low, 1 / high) + lost).mean(), figures
    lmbda = model.lmbda(rates)
    return ((bpp + lmbda * lost) * lmbda.rsqrt()).mean() * LOSS_SCALE, figures


def doubt(model: VAE, x: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    """What the model's critic minimises."""
    assert model.critic is not None
    with torch.no_grad():
        y, scale = as_shown(model, code(model, x, rates)[0], rates)
        shown = model.synthesis(y, scale)
    return critic_loss(model.critic, x, shown, y)


def distortion(
    recipe: Recipe, decoded: Tensor, x: Tensor, lpips: nn.Module | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """How far decoded images (b, 3, h, w) are from x by the recipe's metric (b,), and what to log."""
    mse = (decoded - x).square().mean((1, 2, 3))
    figures = {"psnr": -10 * mse.detach().clamp_min(1e-10).log10().mean()}
    if recipe.metric == "mse":
        return SQUARED_ERROR * mse, figures
    if recipe.metric == "perceptual":
        assert lpips is not None
        distance = lpips.to(x.device)(decoded, x)
        return FIDELITY * SQUARED_ERROR * mse + PERCEPTION * distance, figures | {"lpips": distance.detach().mean()}
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
        recipe = model.recipe
        lpips: Lpips | None = None
        if isinstance(model, Realism) or recipe.metric == "perceptual":
            lpips = open_lpips(self.perceptual)
        elif self.perceptual is not None:
            raise Unsupported(f"vae.{recipe.name} is not trained by a perceptual network; leave that folder out")
        first: Objective[Any]
        if isinstance(model, Realism):
            assert lpips is not None
            first = Objective(partial(realism_loss, lpips), list(model.synthesis.parameters()))
        else:
            own = [parameter for name, parameter in model.named_parameters() if name.partition(".")[0] != CRITIC]
            first = Objective(partial(loss, lpips=lpips), own)
        if model.critic is None:
            return [first]
        doubts = doubt_realism if isinstance(model, Realism) else doubt
        return [first, Objective(doubts, list(model.critic.parameters()), CRITIC)]

    def samples(self, model: VAE | Realism, crops: Tensor) -> list[Tensor]:
        """What is decoded; of a second synthesis, at realism 0 and 1."""
        rates = crops.new_full((len(crops),), SAMPLE_RATE if model.recipe.variable_rate else 0.0)
        return realism_samples(model, crops, rates) if isinstance(model, Realism) else [forward(model, crops, rates)[0]]

    def validation_rates(self, model: VAE | Realism) -> tuple[float, ...]:
        return (0.1, 0.3, 0.5, 0.7, 0.9) if model.recipe.variable_rate else (0.0,)

    def crop_unit(self, model: VAE | Realism) -> int:
        return HYPER_STRIDE

    def halve_precision(self, model: VAE | Realism) -> bool:
        """Residual blocks or inner layers, which are nearly all of the transforms, and hyper-analysis.

        What surrounds them holds pixels and latents, which need the digits; so do exact networks and likelihoods.
        """
        found = [module for module in model.modules() if isinstance(module, Block | Inner)]
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
