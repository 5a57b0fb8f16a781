"""How the golden files of `vae` were made: a small model, every mode."""

from pathlib import Path

from calotype.codecs.vae.adapt import adapt
from calotype.codecs.vae.freeze import freeze
from calotype.codecs.vae.networks import VAE
from calotype.codecs.vae.recipe import Recipe
from calotype.runtime.weights import Weights
from tests.golden.making import SOURCE, add, load, texture

HERE = Path(__file__).parent
RECIPE = Recipe(
    name="golden",
    source=SOURCE,
    transform="shuffle",
    width=24,
    blocks=(1, 1),
    latents=32,
    prior="gaussian",
    lmbda=(0.001, 0.1),
    knots=3,
    default_quality=50.0,
    hyper_latents=4,
    hyper_width=8,
    context_width=16,
    context_steps=4,
)

MODES = [("grey", 1, 90), ("grey-alpha", 2, 50), ("rgb", 3, 70), ("rgba", 4, 20)]


def adapted(model: VAE) -> bytes:
    """Weights with adaptive tables: files of version 2."""
    return adapt(Weights(freeze(model), RECIPE.name), [texture(3), texture(3)[::-1], texture(4)[..., 1:]])


if __name__ == "__main__":
    for name, kind, finish in (("golden", "", freeze), ("adapted", "adapted-", adapted)):
        model = load(HERE / f"{name}.calow", f"vae.{name}", lambda: VAE(RECIPE), finish, scale=0.02)
        for mode, channels, quality in MODES:
            add(HERE / f"{kind}{mode}.calo", model, texture(channels), quality=quality)
