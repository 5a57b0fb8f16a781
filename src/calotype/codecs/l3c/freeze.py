"""A trained `L3C` -> one weights file, and back to go on training."""

from __future__ import annotations

import torch

from ...nets.export import frozen, initializers, shortened, to_onnx
from ...runtime.weights import Weights, pack_weights
from .networks import L3C
from .recipe import Recipe
from .units import COLOURS, LATENTS, SCALES, STRIDE

_EXAMPLE = 2 * STRIDE, 3 * STRIDE  # pixels of the example that networks are exported with


def freeze(model: L3C) -> bytes:
    """Freeze every part. Raises `CalotypeError` if an exact layer cannot be proved exact."""
    model = model.to("cpu").eval()

    def example(channels: int, stride: int) -> torch.Tensor:
        return torch.zeros(1, channels, _EXAMPLE[0] // stride, _EXAMPLE[1] // stride)

    networks = {}
    if model.analysis is not None:
        names = [f"z{scale}" for scale in range(1, SCALES + 1)]
        networks["analysis"] = to_onnx(shortened(frozen(model.analysis)), {"x": example(COLOURS, 1)}, names)
    for scale in range(1, SCALES + 1):
        inputs = {"levels": example(LATENTS, 2**scale)}
        outputs = ["features", "location", "scale", "weight"]
        if scale < SCALES:
            inputs["coarser"] = example(model.recipe.up, 2**scale)
            if model.recipe.samples:
                inputs["expected"] = example(COLOURS, 2**scale)
        if scale == 1 or model.recipe.joint:
            outputs.append("coefficient")
        if scale > 1 and model.recipe.samples:
            outputs.insert(1, "expected_finer")
        networks[f"stage{scale}"] = to_onnx(frozen(model.stages[scale - 1]), inputs, outputs)
    return pack_weights(model.recipe.to_dict(), networks, {})


def thaw(weights: Weights) -> L3C:
    """A model that goes on where the weights are; integers of exact layers stand for their former real values."""
    model = L3C(Recipe.from_dict(weights.recipe, weights.name))
    state = model.state_dict()
    parts = {f"stages.{s - 1}.": f"stage{s}" for s in range(1, SCALES + 1)}
    if model.analysis is not None:
        parts["analysis."] = "analysis"
    for prefix, network in parts.items():
        known = initializers(weights.network(network))
        state |= {prefix + name: value for name, value in known.items() if prefix + name in state}
    model.load_state_dict(state)
    return model
