"""How the golden files of `l3c` were made: three kinds of model, every mode, and each other way to code a tile."""

from pathlib import Path
from unittest.mock import patch

import numpy as np

from calotype.codecs.l3c import codec as l3c
from calotype.codecs.l3c.freeze import freeze
from calotype.codecs.l3c.networks import L3C
from calotype.codecs.l3c.recipe import Recipe
from tests.golden.making import SOURCE, add, load, texture

HERE = Path(__file__).parent
SAMPLES, LEARNED, JOINT = (
    Recipe(f"golden-{kind}", SOURCE, features=12, blocks=1, up=8, head=8, mixtures=3, samples=samples, joint=joint)
    for kind, samples, joint in (("samples", True, False), ("learned", False, False), ("joint", True, True))
)


def noisy(channels: int) -> np.ndarray:
    """(70, 90, channels), smooth, with some noise."""
    y, x = np.mgrid[:70, :90]
    smooth = 128 + 90 * np.sin(x / 17) * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 3, (70, 90, channels))
    return (smooth[..., None] + noise).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    samples = load(HERE / "samples.calow", "l3c.golden-samples", lambda: L3C(SAMPLES), freeze, scale=0.03)
    learned = load(HERE / "learned.calow", "l3c.golden-learned", lambda: L3C(LEARNED), freeze, scale=0.03)
    joint = load(HERE / "joint.calow", "l3c.golden-joint", lambda: L3C(JOINT), freeze, scale=0.03)
    with patch.object(l3c, "pack_colours", lambda pixels, below: None):  # untrained networks would not be chosen
        for channels in (1, 2, 3, 4):
            add(HERE / f"{channels}-samples.calo", samples, texture(channels))
        add(HERE / "3-learned.calo", learned, texture(3))
        add(HERE / "3-joint.calo", joint, texture(3))
    add(HERE / "3-drawn.calo", samples, texture(3))
    add(HERE / "2-noisy.calo", samples, noisy(2))  # grey and alpha that interpolation is taken for
