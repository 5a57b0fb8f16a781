"""A trained `VAE` -> one weights file, and back to go on training.

The file holds the networks, integer tables, rate vectors, and under `training/` the few parameters that none of those
still show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...errors import CalotypeError
from ...nets.export import frozen, initializers, shortened, to_onnx
from ...runtime.weights import REALISM, Weights, pack_companion, pack_weights
from .condition import CONDITIONS
from .networks import VAE
from .realism import Realism
from .recipe import HYPER_STRIDE, LATENT_STRIDE, Recipe
from .scales import RATE_STEPS, SIGMA_COUNT, SIGMA_MAX, SIGMA_MIN

SIDE_REACH = 256  # integers beyond are escaped
SIDE_MASS_MIN = 2.0**-16  # rarer symbols at either end are escaped
_EXAMPLE = 2 * HYPER_STRIDE, 3 * HYPER_STRIDE  # pixels of the example that networks are exported with

TRAINING = "training/"
# the exported parts of a `VAE`
NETWORKS = ("analysis", "synthesis", "hyper_analysis", "hyper_synthesis", "context")
CRITIC = "critic"  # left out

Arrays = dict[str, npt.NDArray[Any]]


def freeze(model: VAE) -> bytes:
    """Freeze every part. Raises `CalotypeError` if an exact layer cannot be proved exact."""
    from ...coding import Tables  # not above: a machine that only trains needs no native kernel

    model = model.to("cpu").eval()
    arrays = _rate_vectors(model) | _prefixed("side", Tables.from_pmfs(*_side_pmfs(model)).to_arrays())
    if model.recipe.prior == "gaussian":
        sigmas = np.geomspace(SIGMA_MIN, SIGMA_MAX, SIGMA_COUNT)
        arrays |= _prefixed("latent", Tables.gaussian(sigmas).to_arrays())
    arrays |= {
        TRAINING + name: parameter.detach().numpy()
        for name, parameter in model.named_parameters()
        if name.partition(".")[0] not in (*NETWORKS, CRITIC)
    }
    return pack_weights(model.recipe.to_dict(), _networks(model), arrays)


def thaw(weights: Weights) -> VAE:
    """A model that goes on where the weights are; integers of exact layers stand for their former real values."""
    model = VAE(Recipe.from_dict(weights.recipe, weights.name))
    state = model.state_dict()
    for key, array in weights.arrays.items():
        if key.startswith(TRAINING):
            state[key.removeprefix(TRAINING)] = torch.from_numpy(array)
    steps = [f"context.{step}" for step in range(model.recipe.context_steps)]
    for part in [*NETWORKS[:-1], *steps]:
        if hasattr(model, part.partition(".")[0]):
            known = initializers(weights.network(part.replace(".", "")))
            state |= {f"{part}.{name}": value for name, value in known.items() if f"{part}.{name}" in state}
    model.load_state_dict(state)
    return model


def freeze_realism(model: Realism) -> bytes:
    """The second synthesis, bound to the weights whose latents it shows."""
    recipe = model.recipe
    height, width = _EXAMPLE
    inputs = {
        "y": torch.zeros(1, recipe.latents, height // LATENT_STRIDE, width // LATENT_STRIDE),
        "scale": torch.zeros(1, recipe.width, 1, 1),
        "conditions": torch.zeros(1, CONDITIONS, 1, 1),
    }
    network = to_onnx(shortened(frozen(model.synthesis.to("cpu"))), inputs, ["x"])
    return pack_companion(bytes(model.digest.tolist()), {"synthesis": network}, REALISM, recipe.to_dict())


def thaw_realism(model: Realism, weights: Weights) -> Realism:
    """Give a model of the same recipe the parameters in a companion. Raises `CalotypeError` if it is another's."""
    if weights.companion_of != bytes(model.digest.tolist()).hex():
        raise CalotypeError(
            f"{weights.name} shows the latents of weights {weights.companion_of}, not those that are there"
        )
    known = initializers(weights.network("synthesis"))
    state = model.synthesis.state_dict()
    model.synthesis.load_state_dict(
        {name: known.get(name, value).reshape(value.shape) for name, value in state.items()}
    )
    return model


def _prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}_{name}": array for name, array in arrays.items()}


def _steps(model: VAE) -> torch.Tensor:
    return torch.linspace(0, 1, RATE_STEPS) if model.recipe.variable_rate else torch.zeros(1)


@torch.no_grad()
def _rate_vectors(model: VAE) -> Arrays:
    """Each (steps, channels), float32."""
    t = _steps(model)
    gain, inverse_gain = model.gains(t)
    analysis_scale, synthesis_scale = model.scales(t)
    vectors = {
        "gain": gain,
        "inverse_gain": inverse_gain,
        "analysis_scale": analysis_scale,
        "synthesis_scale": synthesis_scale,
    }
    return {name: vector.flatten(1).numpy() for name, vector in vectors.items()}


@torch.no_grad()
def _side_pmfs(model: VAE) -> tuple[list[npt.NDArray[np.float64]], list[int]]:
    """Probabilities and smallest symbol per rate step and channel, channels fastest."""
    density = model.side.density.double()
    reach = torch.arange(-SIDE_REACH, SIDE_REACH + 1, dtype=torch.float64)
    pmfs, minimums = [], []
    for t in _steps(model):
        scale = torch.exp(model.side.scale_log(t[None])[0]).double()[:, None, None]
        shift = model.side.shift(t[None])[0].double()[:, None, None]
        mass = density.probability((reach - 0.5) * scale + shift, (reach + 0.5) * scale + shift)[:, 0].numpy()
        for row in mass:
            likely = np.flatnonzero(row > SIDE_MASS_MIN)
            first, last = (likely[0], likely[-1]) if len(likely) else (SIDE_REACH, SIDE_REACH)
            pmfs.append(row[first : last + 1])
            minimums.append(int(first) - SIDE_REACH)
    model.side.density.float()
    return pmfs, minimums


def _networks(model: VAE) -> dict[str, bytes]:
    recipe = model.recipe
    height, width = _EXAMPLE

    def example(channels: int, stride: int) -> torch.Tensor:
        return torch.zeros(1, channels, height // stride, width // stride)

    scale = torch.zeros(1, recipe.width, 1, 1)
    y = example(recipe.latents, LATENT_STRIDE)
    parts = {
        "analysis": to_onnx(shortened(frozen(model.analysis)), {"x": example(3, 1), "scale": scale}, ["y"]),
        "synthesis": to_onnx(shortened(frozen(model.synthesis)), {"y": y, "scale": scale}, ["x"]),
    }
    if recipe.prior == "factorized":
        return parts
    z = example(recipe.hyper_latents, HYPER_STRIDE)
    cell = 2 * LATENT_STRIDE
    inputs = {"features": example(recipe.hyper_width, cell), "rate": example(1, cell)}
    parts["hyper_analysis"] = to_onnx(shortened(frozen(model.hyper_analysis)), {"scaled": y}, ["z"])
    hyper_inputs = {"z": z, "rate": example(1, HYPER_STRIDE)}
    parts["hyper_synthesis"] = to_onnx(frozen(model.hyper_synthesis), hyper_inputs, ["features"])
    for step, network in enumerate(model.context):
        known = {"known": example(network.known, cell)} if step else {}  # type: ignore[arg-type]
        parts[f"context{step}"] = to_onnx(frozen(network), inputs | known, ["mean", "index"])
    return parts
