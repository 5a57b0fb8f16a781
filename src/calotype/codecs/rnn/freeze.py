"""A trained `RNN` -> one weights file, an iteration of either network, and back to go on training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...nets.export import frozen, initializers, shortened, to_onnx
from ...runtime.weights import Weights, pack_weights
from .networks import RNN
from .recipe import START, Recipe

NETWORKS = ("encoder", "decoder")

_EXAMPLE = 6, 9  # places of the codes that networks are exported with


class _Flat(nn.Module):
    """A network with all its outputs in a row, as exports have them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        out, after = self.network(x, *state)
        return out, *after


def freeze(model: RNN) -> bytes:
    """Freeze both networks; what predicts their bits has learned nothing yet."""
    from ...coding.bits import untaught  # not above: a machine that only trains needs no native kernel

    model = model.to("cpu").eval()
    recipe = model.recipe
    height, width = (side * recipe.stride for side in _EXAMPLE)
    image = torch.zeros(1, 3, height, width)
    encoder, decoder = model.start(image)
    networks = {
        "encoder": _export(model.encoder, image, [*decoder[: recipe.scaled], *encoder], len(encoder)),
        "decoder": _export(model.decoder, torch.zeros(1, recipe.bits, *_EXAMPLE), decoder, len(decoder)),
    }
    return pack_weights(recipe.to_dict(), networks, {START: untaught(recipe.iterations, recipe.bits)})


def thaw(weights: Weights) -> RNN:
    """A model that goes on where the weights are."""
    model = RNN(Recipe.from_dict(weights.recipe, weights.name))
    state: dict[str, Tensor] = {}
    for name in NETWORKS:
        known = initializers(weights.network(name))
        state |= {key.replace("network", name, 1): value for key, value in known.items() if key.startswith("network.")}
    model.load_state_dict(state)
    return model


def _export(network: nn.Module, x: Tensor, state: list[Tensor], after: int) -> bytes:
    inputs = {"x": x, **{f"state{number}": part for number, part in enumerate(state)}}
    return to_onnx(shortened(frozen(_Flat(network))), inputs, ["y", *(f"after{number}" for number in range(after))])
