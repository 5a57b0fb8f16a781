"""A trained `RNN` -> one weights file, an iteration of either network, and back to go on training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...nets.dct import places
from ...nets.export import frozen, initializers, shortened, to_onnx
from ...runtime.weights import Weights, pack_weights
from .networks import RNN
from .recipe import PLACES, START, TABLES, Recipe

NETWORKS = ("encoder", "decoder")

COARSER = 0.7  # power of frequencies with which coefficients are told coarser; MS-SSIM on training tiles
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
    from .refine import untaught as untaught_tables

    model = model.to("cpu").eval()
    recipe = model.recipe
    height, width = (side * recipe.stride for side in _EXAMPLE)
    image = torch.zeros(1, 3, height, width)
    encoder, decoder = model.start(image)
    networks = {
        "encoder": _export(model.encoder, image, [*decoder[: recipe.scaled], *encoder], len(encoder)),
        "decoder": _export(model.decoder, torch.zeros(1, recipe.bits, *_EXAMPLE), decoder, len(decoder)),
    }
    arrays = {START: untaught(recipe.networked, recipe.bits)}
    if model.foresight is not None:
        example = {"x": torch.zeros(1, recipe.networked * recipe.bits, *_EXAMPLE)}
        networks["foresight"] = to_onnx(frozen(model.foresight), example, ["y"])
        arrays |= {TABLES + name: array for name, array in untaught_tables().to_arrays().items()}
        arrays[PLACES] = _places(recipe)
    return pack_weights(recipe.to_dict(), networks, arrays)


def _places(recipe: Recipe) -> npt.NDArray[np.int16]:
    """Of coefficients, as `refine` has them."""
    colour, row, column = places(recipe.surface_width, recipe.stride)
    coarser = np.rint(4 * COARSER * np.log2(1 + np.hypot(row, column) * 2 / recipe.stride))
    return np.stack([colour, row, column, coarser], 1).astype(np.int16)


def thaw(weights: Weights) -> RNN:
    """A model that goes on where the weights are."""
    model = RNN(Recipe.from_dict(weights.recipe, weights.name))
    state: dict[str, Tensor] = {}
    for name in NETWORKS:
        known = initializers(weights.network(name))
        state |= {key.replace("network", name, 1): value for key, value in known.items() if key.startswith("network.")}
    if model.foresight is not None:
        known = initializers(weights.network("foresight"))
        own = model.foresight.state_dict()
        state |= {f"foresight.{key}": value for key, value in known.items() if key in own}
    model.load_state_dict(state)
    return model


def _export(network: nn.Module, x: Tensor, state: list[Tensor], after: int) -> bytes:
    inputs = {"x": x, **{f"state{number}": part for number, part in enumerate(state)}}
    return to_onnx(shortened(frozen(_Flat(network))), inputs, ["y", *(f"after{number}" for number in range(after))])
