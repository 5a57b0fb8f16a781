"""A small untrained model of `nearlossless`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calotype.codecs.nearlossless import codec
from calotype.codecs.nearlossless.recipe import Recipe
from tests.specimens import stir

if TYPE_CHECKING:
    from calotype.codecs.nearlossless.networks import NearLossless

RECIPES = {
    "small": Recipe(
        "small",
        source="a test",
        base=8,
        prior=8,
        coarse=4,
        fine=2,
        features=8,
        mixtures=2,
        level_mixtures=2,
    )
}


def build(recipe: Recipe) -> NearLossless:
    import torch

    from calotype.codecs.nearlossless.networks import NearLossless

    torch.manual_seed(0)
    model = NearLossless(recipe)
    stir(model, 0.01)
    return model


def freeze(model: NearLossless) -> bytes:
    from calotype.codecs.nearlossless.freeze import freeze

    return freeze(model)


def prepare(patch: pytest.MonkeyPatch) -> None:
    """Else untrained networks would never be chosen."""
    patch.setattr(codec, "_pack_exact", lambda pixels, below: None)
