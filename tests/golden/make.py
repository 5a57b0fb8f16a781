"""How the golden files were made: `python tests/golden/make.py`. They stay as they are for ever.

A new one is added beside the old ones when the format grows; an old one changes only with a new wire version and a line
in CHANGELOG. The model of `vae` is small and untrained, so that better weights of the package do not touch these files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

import calotype
from calotype.codecs.l3c import codec as l3c
from calotype.codecs.l3c.freeze import freeze as freeze_l3c
from calotype.codecs.l3c.networks import L3C
from calotype.codecs.l3c.recipe import Recipe as L3CRecipe
from calotype.codecs.vae.freeze import freeze
from calotype.codecs.vae.networks import VAE
from calotype.codecs.vae.recipe import Recipe
from calotype.image import Image, Metadata
from calotype.runtime.weights import Weights

HERE = Path(__file__).parent
RECIPE = Recipe(
    name="golden",
    source="tests/golden/make.py",
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
L3C_RECIPES = [
    L3CRecipe(
        f"golden-{kind}", "tests/golden/make.py", features=12, blocks=1, up=8, head=8, mixtures=3, samples=samples
    )
    for kind, samples in (("samples", True), ("learned", False))
]
CARD = 'name = "{name}"\ndigest = "{digest}"\ndescription = "for golden files only"\n'


def picture(channels: int) -> np.ndarray:
    """(70, 90, channels), smooth, with some texture; the same for ever."""
    y, x = np.mgrid[:70, :90]
    planes = [(x * (3 + c) + y * (5 - c) + (x * y * (c + 1)) % 23) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def make_weights(path: Path, name: str, model: nn.Module, freeze: Callable[[Any], bytes], scale: float) -> None:
    """Weights as after training: every layer does something."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(scale * torch.randn_like(parameter))
    path.write_bytes(freeze(model))
    path.with_suffix(".toml").write_text(CARD.format(name=name, digest=Weights.open(path).digest.hex()))


def main() -> None:
    weights = HERE / "golden.calow"
    if not weights.exists():
        torch.manual_seed(0)
        make_weights(weights, "vae.golden", VAE(RECIPE), freeze, 0.02)
    model = calotype.load(str(weights))
    for name, channels, quality in [("grey", 1, 90), ("grey-alpha", 2, 50), ("rgb", 3, 70), ("rgba", 4, 20)]:
        add(name, model, channels, quality=quality)
    model = calotype.load("prism.photo")
    for channels, effort in [(1, 5), (2, 8), (3, 1), (3, 5), (4, 3), (3, 9)]:
        add(f"prism-{channels}-effort-{effort}", model, channels, effort=effort)
    for recipe in L3C_RECIPES:
        weights = HERE / f"l3c-{recipe.name}.calow"
        if not weights.exists():
            torch.manual_seed(0)
            make_weights(weights, f"l3c.{recipe.name}", L3C(recipe), freeze_l3c, 0.03)
        model = calotype.load(str(weights))
        with patch.object(l3c, "pack_colours", lambda pixels, below: None):  # untrained networks would not be chosen
            for channels in (1, 2, 3, 4) if recipe.samples else (3,):
                add(f"l3c-{channels}-{recipe.name}", model, channels)
        if recipe.samples:
            add("l3c-3-drawn", model, 3)
            add("l3c-2-noisy", model, 2, noise=3)  # grey and alpha that interpolation is taken for


def add(name: str, model: calotype.Model, channels: int, noise: int = 0, **options: float) -> None:
    """Write a file and what it decodes to, unless it is there."""
    if (HERE / f"{name}.calo").exists():
        return
    metadata = Metadata(icc=b"profile", exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0", xmp=b"<x/>")
    pixels = picture(channels)
    if noise:
        y, x = np.mgrid[:70, :90]
        smooth = 128 + 90 * np.sin(x / 17) * np.cos(y / 23)
        pixels = (
            (smooth[..., None] + np.random.default_rng(0).normal(0, noise, pixels.shape)).clip(0, 255).astype(np.uint8)
        )
    data = model.encode(Image(pixels, metadata=metadata if channels == 4 else Metadata()), **options)
    (HERE / f"{name}.calo").write_bytes(data)
    calotype.write(HERE / f"{name}.png", model.decode_image(data))


if __name__ == "__main__":
    main()
