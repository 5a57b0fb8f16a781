"""A small untrained `rnn`: each iteration tells the signs of the same coefficients, in units that shrink."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calotype.codecs.rnn.recipe import Recipe
from tests.specimens import stir

if TYPE_CHECKING:
    from calotype.codecs.rnn.networks import RNN

SMALL = Recipe(
    name="small",
    source="a test",
    unit="gru",
    reconstruction="scaled",
    surface="patch",
    surface_stride=16,
    surface_width=32,
    encoder=(32,),
    encoder_strides=(1,),
    decoder=(32,),
    decoder_strides=(1,),
    kernel=1,
    hidden_kernel=1,
    entry_kernel=3,
    bits=32,
)
REFINED = replace(SMALL, name="refined", iterations=8, refinements=6)
RECIPES = {recipe.name: recipe for recipe in (SMALL, REFINED)}
SHRINK = 0.35  # of a unit's logarithm, with each iteration


def build(recipe: Recipe) -> RNN:
    import torch

    from calotype.codecs.rnn.networks import ALPHA, RNN

    torch.manual_seed(0)
    model = RNN(recipe)
    same = torch.eye(recipe.bits)[:, :, None, None]
    with torch.no_grad():
        for part in (model.encoder.units, model.encoder.binariser, model.decoder.entry, model.decoder.units):
            for parameter in part.parameters():
                parameter.zero_()
        for unit in (model.encoder.units[0], model.decoder.units[0]):
            unit.get_submodule("input").weight[-recipe.bits :] = same / ALPHA  # type: ignore[operator]
        model.encoder.binariser.weight.copy_(same)
        model.decoder.entry.weight[:, :, 1:2, 1:2] = same
        model.decoder.features.weight.copy_(same)
        assert model.decoder.shrink is not None
        assert model.decoder.shrink.bias is not None
        model.decoder.shrink.bias.fill_(-SHRINK)
    stir(model, 0.001)
    return model


def freeze(model: RNN) -> bytes:
    from calotype.codecs.rnn.freeze import freeze

    return freeze(model)
