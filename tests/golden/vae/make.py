"""How the golden files of `vae` were made: a small model, every mode."""

from pathlib import Path

from calotype.codecs.vae.freeze import freeze
from calotype.codecs.vae.networks import VAE
from calotype.codecs.vae.recipe import Recipe
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

if __name__ == "__main__":
    model = load(HERE / "golden.calow", "vae.golden", lambda: VAE(RECIPE), freeze, scale=0.02)
    for name, channels, quality in [("grey", 1, 90), ("grey-alpha", 2, 50), ("rgb", 3, 70), ("rgba", 4, 20)]:
        add(HERE / f"{name}.calo", model, texture(channels), quality=quality)
