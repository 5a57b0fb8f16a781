"""What an `l3c` model is: read from `recipes/<name>.toml`, stored again in its weights."""

from __future__ import annotations

from dataclasses import dataclass

from ...coding.units import MAX_COMPONENTS
from ...errors import Unsupported
from ...runtime.recipe import BaseRecipe
from .units import LATENTS


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """The choices that make one model; three scales, 5 latent channels and 25 levels are common to all."""

    features: int
    """Features of encoder and decoder at each scale."""
    blocks: int
    """Residual blocks per side and scale."""
    up: int
    """Features that a scale hands to the next finer one, and to its head."""
    head: int
    """Features of each of a head's three dilated convolutions."""
    mixtures: int
    """Logistics per distribution."""
    samples: bool
    """Whether latents are samples of the image (`samples.py`) instead of what an encoder network has learned."""
    joint: bool = False
    """Whether samples are coded as colours are, each of the three moving with those before, and not digit by digit."""

    def __post_init__(self) -> None:
        if self.features < 2 * LATENTS or min(self.up, self.head) < 1 or self.blocks < 0:
            raise Unsupported(f"recipe {self.name}: features, blocks, up or head are too few")
        if self.joint and not self.samples:
            raise Unsupported(f"recipe {self.name}: only samples can be joint, not what an encoder has learned")
        if not 1 <= self.mixtures <= MAX_COMPONENTS:
            raise Unsupported(f"recipe {self.name}: 1 to {MAX_COMPONENTS} mixtures, not {self.mixtures}")
