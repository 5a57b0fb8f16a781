"""What a `nearlossless` model is: read from `recipes/<name>.toml`, stored again in its weights."""

from __future__ import annotations

from dataclasses import dataclass

from ...coding.units import MAX_COMPONENTS
from ...errors import Unsupported
from ...runtime.recipe import BaseRecipe


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """The choices that make one model; transform, phases and units are common to all."""

    base: int
    """Features of the network that decodes the base."""
    prior: int
    """Features of the one that foresees its levels."""
    coarse: int
    """Features that the base hands to phases of step 4, per place,"""
    fine: int
    """and to those of step 2."""
    features: int
    """Features of each phase; half of them are logarithms."""
    mixtures: int
    """Logistics per distribution of a sample."""
    level_mixtures: int
    """Those of a level."""

    def __post_init__(self) -> None:
        if min(self.base, self.prior, self.coarse, self.fine) < 1 or self.features < 2 or self.features % 2:
            raise Unsupported(f"recipe {self.name}: too few features, or an odd number of them")
        if not all(1 <= count <= MAX_COMPONENTS for count in (self.mixtures, self.level_mixtures)):
            raise Unsupported(f"recipe {self.name}: 1 to {MAX_COMPONENTS} mixtures")
