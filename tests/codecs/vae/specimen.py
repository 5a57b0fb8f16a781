"""A small untrained `vae`: it begins as a DCT, so that it codes images at all qualities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calotype.codecs.vae.recipe import Recipe
from tests.specimens import stir

if TYPE_CHECKING:
    from calotype.codecs.vae.networks import VAE

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


def build(recipe: Recipe) -> VAE:
    import torch

    from calotype.codecs.vae.networks import VAE

    torch.manual_seed(0)
    model = VAE(recipe)
    stir(model, 0.004)
    return model


def freeze(model: VAE) -> bytes:
    from calotype.codecs.vae.freeze import freeze

    return freeze(model)
