"""A small untrained `vae`: it begins as a DCT, so that it codes images at all qualities; its tables are fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from calotype.codecs.vae.recipe import Recipe
from calotype.runtime.weights import REALISM, Weights
from tests.specimens import stir

if TYPE_CHECKING:
    from calotype.codecs.vae.networks import VAE
    from calotype.codecs.vae.realism import Realism

SMALL = Recipe(
    name="small",
    source="a test",
    transform="shuffle",
    width=192,
    blocks=(1, 1),
    latents=64,
    prior="gaussian",
    lmbda=(0.001, 0.1),
    knots=3,
    default_quality=50.0,
    hyper_latents=8,
    hyper_width=16,
    context_width=32,
    context_steps=4,
)
RECIPES = {SMALL.name: SMALL}


def hasten(patch: pytest.MonkeyPatch) -> None:
    """Refine in few steps."""
    patch.setattr("calotype.codecs.vae.codec.REFINEMENTS", {7: 1, 8: 2, 9: 2})


def build(recipe: Recipe) -> VAE:
    import torch

    from calotype.codecs.vae.networks import VAE

    torch.manual_seed(0)
    model = VAE(recipe)
    stir(model, 0.004)
    return model


def freeze(model: VAE) -> bytes:
    from calotype.codecs.vae.adapt import adapt
    from calotype.codecs.vae.freeze import freeze

    return adapt(Weights(freeze(model), model.recipe.name), map(drawn, range(3)))


def companions(weights: Weights) -> dict[str, bytes]:
    """A second synthesis, which learned nothing in particular."""
    from calotype.codecs.vae.freeze import freeze_realism

    return {REALISM: freeze_realism(second_synthesis(weights, 0.01))}


def second_synthesis(weights: Weights, noise: float) -> Realism:
    """Of these weights, stirred so much."""
    import torch

    from calotype.codecs.vae.freeze import thaw
    from calotype.codecs.vae.realism import Realism

    torch.manual_seed(1)
    model = Realism(replace(SMALL, name="small-realism", of=SMALL.name), thaw(weights), weights.digest)
    stir(model, noise)
    return model


def drawn(seed: int) -> npt.NDArray[np.uint8]:
    """(128, 192, 3), waves and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :192] / rng.uniform(5, 40)
    waves = np.stack([np.sin(x + y), np.cos(x - 2 * y), np.sin(0.5 * x)], -1)
    return np.clip(128 + 90 * waves + rng.normal(0, 8, waves.shape), 0, 255).astype(np.uint8)
