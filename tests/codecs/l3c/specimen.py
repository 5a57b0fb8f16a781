"""Small untrained models of `l3c`, with coarser images that are samples, coded in both ways, and with learned ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from calotype.codecs.l3c import codec
from calotype.codecs.l3c.recipe import Recipe
from tests.specimens import stir

if TYPE_CHECKING:
    from calotype.codecs.l3c.networks import L3C

RECIPES = {
    name: Recipe(name, "a test", features=12, blocks=1, up=8, head=8, mixtures=3, samples=samples, joint=joint)
    for name, samples, joint in (("samples", True, False), ("joint", True, True), ("learned", False, False))
}


def build(recipe: Recipe) -> L3C:
    import torch

    from calotype.codecs.l3c.networks import L3C

    torch.manual_seed(0)
    model = L3C(recipe)
    stir(model, 0.03)
    return model


def freeze(model: L3C) -> bytes:
    from calotype.codecs.l3c.freeze import freeze

    return freeze(model)


def prepare(patch: pytest.MonkeyPatch) -> None:
    """Else untrained networks would never be chosen."""
    patch.setattr(codec, "pack_colours", lambda pixels, below: None)
