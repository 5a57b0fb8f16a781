"""A trained `NearLossless` -> one weights file, and back to go on training."""

from __future__ import annotations

import torch

from ...nets.export import frozen, initializers, to_onnx
from ...runtime.weights import Weights, pack_weights
from .networks import NearLossless
from .recipe import Recipe
from .units import BLOCK, BOUND_PLANES, COLOURS, LEVELS, PHASES, around, known

_EXAMPLE = 3, 5  # blocks of the example that networks are exported with
_MIXTURE = ["location", "scale", "weight"]


def freeze(model: NearLossless) -> bytes:
    """Freeze every part. Raises `CalotypeError` if an exact layer cannot be proved exact."""
    model = model.to("cpu").eval()

    def example(channels: int, stride: int) -> torch.Tensor:
        return torch.zeros(1, channels, _EXAMPLE[0] * BLOCK // stride, _EXAMPLE[1] * BLOCK // stride)

    levels = {"levels": example(LEVELS, BLOCK)}
    networks = {
        "base": to_onnx(frozen(model.base), levels, ["picture", "coarse", "fine"]),
        "prior": to_onnx(frozen(model.prior), {**levels, "is_known": example(1, BLOCK)}, _MIXTURE),
    }
    for number, (phase, lattice) in enumerate(zip(model.phases, PHASES, strict=True)):
        handed = model.recipe.coarse if lattice.step == 4 else model.recipe.fine
        inputs = {
            "slopes": example(len(around(lattice)), lattice.step),
            "features": example(handed, lattice.step),
            "bound": torch.zeros(1, BOUND_PLANES, 1, 1),
        }
        if before := known(lattice):
            inputs["off"] = example(COLOURS * len(before), lattice.step)
        networks[f"phase{number}"] = to_onnx(frozen(phase), inputs, [*_MIXTURE, "coefficient"])
    return pack_weights(model.recipe.to_dict(), networks, {})


def thaw(weights: Weights) -> NearLossless:
    """A model that goes on where the weights are; integers of exact layers stand for their former real values."""
    model = NearLossless(Recipe.from_dict(weights.recipe, weights.name))
    state = model.state_dict()
    parts = {"base.": "base", "prior.": "prior"} | {f"phases.{n}.": f"phase{n}" for n in range(len(PHASES))}
    for prefix, network in parts.items():
        values = initializers(weights.network(network))
        state |= {prefix + name: value for name, value in values.items() if prefix + name in state}
    model.load_state_dict(state)
    return model
