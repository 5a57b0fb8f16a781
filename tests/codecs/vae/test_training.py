"""Training of `vae`: its loss, its precision, and every recipe from training to files. All of it small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import calotype.codecs.vae
from calotype.codec import Host
from calotype.codecs.vae import training
from calotype.codecs.vae.codec import VAECodec
from calotype.codecs.vae.networks import VAE
from calotype.codecs.vae.realism import Realism
from calotype.codecs.vae.recipe import Recipe
from calotype.codecs.vae.training import TRAINING, distortion, loss
from calotype.errors import Unsupported
from calotype.image import Image
from calotype.nets.exact import ExactConv
from calotype.nets.residual import Block
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.weights import Weights
from tests.codecs.vae.seer import Seer

# The same networks, in other widths or for another loss.
LIKE_OTHERS = {"wide", "swift-ms-ssim", "swift-realism", "swift-realism-gan", "hyperprior-compact"}
HIFIC = {"hific-paper", "hific-paper-gan", "hific-compact", "hific-compact-gan"}  # see test_hific.py
TOO_LARGE = {"hific-paper", "hific-paper-gan"}
RECIPES = sorted(path.stem for path in (Path(calotype.codecs.vae.__file__ or "").parent / "recipes").glob("*.toml"))
FOR_ALL_RATES = ["swift", "wide"]


def small(name: str) -> Recipe:
    """A shipped recipe with fewer of everything."""
    recipe = Recipe.load(name)
    hyper: dict[str, Any] = {}
    if recipe.prior == "gaussian":
        hyper = {"hyper_latents": 4, "hyper_width": 12, "context_width": 16}
    blocks = (1, 1) if recipe.transform == "shuffle" else (0, 0)
    return replace(recipe, width=16, latents=16, blocks=blocks, **hyper)


def some_crops(recipe: Recipe, device: str = "cpu") -> Tensor:
    """Two, as small as its metric allows."""
    side = 192 if recipe.metric == "ms-ssim" else 64
    return torch.rand(2, 3, side, side, device=device)


def small_model(name: str) -> VAE:
    torch.manual_seed(0)
    return VAE(small(name))


@pytest.mark.parametrize("name", sorted(set(RECIPES) - LIKE_OTHERS - HIFIC))
def test_recipe_exports_and_codes(name: str, photo: np.ndarray) -> None:
    model = small_model(name)
    for k in range(3):
        crops, rates = some_crops(model.recipe), torch.tensor([0.2, 0.7])
        (objective,) = TRAINING.objectives(model)
        objective.loss(model, crops, rates)[0].backward()  # type: ignore[no-untyped-call]
        torch.optim.Adam(objective.parameters, lr=1e-3 * (k + 1)).step()
    codec = VAECodec(Host(Weights(TRAINING.freeze(model), name)))
    payload = codec.encode(Image.from_array(photo), EncodeOptions())
    decoded = codec.decode(payload, DecodeOptions()).pixels
    assert decoded.shape == photo.shape
    assert decoded.std() > 0
    if model.recipe.metric == "mse":
        refined = codec.encode(Image.from_array(photo), EncodeOptions(effort=7))
        assert codec.decode(refined, DecodeOptions()).pixels.shape == photo.shape
    else:
        with pytest.raises(Unsupported, match="refine for PSNR"):
            codec.encode(Image.from_array(photo), EncodeOptions(effort=7))
    if not model.recipe.variable_rate:
        with pytest.raises(Unsupported, match="one rate"):
            codec.encode(Image.from_array(photo), EncodeOptions(quality=50))


def test_what_is_minimised_is_what_the_recipe_says() -> None:
    """Squared error and MS-SSIM rank these two the other way round."""
    x = torch.linspace(0.3, 0.7, 192).expand(1, 3, 192, 192)
    brighter, noisy = x + 0.05, x + 0.03 * torch.sign(torch.randn(1, 1, 192, 192, generator=torch.manual_seed(0)))
    for name, better, worse in (("swift", noisy, brighter), ("swift-ms-ssim", brighter, noisy)):
        recipe = Recipe.load(name)
        assert distortion(recipe, better, x)[0] < distortion(recipe, worse, x)[0]


@pytest.mark.parametrize("name", ["swift", "factorized"])
def test_a_model_in_evaluation_is_measured_without_chance(name: str) -> None:
    model = small_model(name)
    crops, rates = torch.rand(1, 3, 64, 64), torch.tensor([0.5])
    with torch.no_grad():
        # The noise moves the rate of a new model by little; two draws may round to one float.
        assert len({float(loss(model, crops, rates)[0]) for _ in range(8)}) > 1
        model.eval()
        assert len({float(loss(model, crops, rates)[0]) for _ in range(2)}) == 1


class Uploads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operations that would need the processor's memory, or an answer from the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[str] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor.device.type == "cpu" for tensor in tensors) or "_local_scalar" in str(operation):
            self.found.add(str(operation))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", sorted(set(RECIPES) - TOO_LARGE))
def test_nothing_in_a_step_waits_for_the_processor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a CUDA graph demands; on a device that computes nothing, so that it needs no GPU."""
    monkeypatch.setattr(training, "open_lpips", lambda folder: Seer())
    recipe = Recipe.load(name)
    whole = VAE(recipe)
    model = (whole if recipe.of is None else Realism(recipe, whole, bytes(4))).to("meta")
    crops, rates = some_crops(recipe, "meta"), torch.rand(2, device="meta")
    for objective in TRAINING.objectives(model):
        with Uploads() as uploads:
            objective.loss(model, crops, rates)[0].backward(inputs=objective.parameters)  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(objective.parameters, 1.0)
        assert uploads.found == set()
    with Uploads() as uploads:  # so that this can fail
        crops[:, np.arange(2)]
    assert uploads.found


def test_half_precision_is_close_and_not_for_all() -> None:
    model = small_model("swift")
    for block in (module for module in model.modules() if isinstance(module, Block)):
        for parameter in block.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    crops, rates = torch.rand(2, 3, 64, 64), torch.tensor([0.2, 0.7])
    seen: list[torch.dtype] = []

    def note(layer: object, inputs: object, output: Tensor) -> None:
        seen.append(output.dtype)

    layers = ("synthesis.blocks.0.mixer.0", "synthesis.head.0", "hyper_analysis", "hyper_analysis.layers.0")
    for name in layers:
        model.get_submodule(name).register_forward_hook(note)
    torch.manual_seed(1)
    exact, _ = loss(model, crops, rates)
    assert TRAINING.halve_precision(model)
    torch.manual_seed(1)
    halved, _ = loss(model, crops, rates)
    halved.backward()  # type: ignore[no-untyped-call]
    assert seen[:4] == [torch.float32] * 4
    inner, hyper, mixer, head = seen[4:]
    assert (inner, mixer) == (torch.bfloat16, torch.bfloat16)
    assert (hyper, head) == (torch.float32, torch.float32)
    assert float(halved.detach()) == pytest.approx(float(exact.detach()), rel=0.03)  # bfloat16 has 8 bits
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


@pytest.mark.parametrize("name", FOR_ALL_RATES)
def test_codecs_for_all_rates_stay_small(name: str) -> None:
    """Their limits: 50 kMAC per pixel each way, 15 million parameters. Counted where nothing is computed."""
    model = VAE(Recipe.load(name)).to("meta")
    side = 256
    parts = ("analysis", "hyper_analysis", "hyper_synthesis", "context", "synthesis")
    counted = dict.fromkeys(parts, 0.0)

    def count(part: str, layer: torch.nn.Module, output: Tensor) -> None:
        assert isinstance(layer.weight, Tensor)
        counted[part] += layer.weight[0].numel() * output[0].numel() / side**2

    for part in parts:
        for layer in getattr(model, part).modules():
            if isinstance(layer, torch.nn.Conv2d | ExactConv):
                layer.register_forward_hook(lambda layer, _, output, part=part: count(part, layer, output))
    with torch.no_grad():
        loss(model, torch.zeros(1, 3, side, side, device="meta"), torch.tensor([0.5], device="meta"))
    encoder = sum(counted.values()) - counted["synthesis"]
    decoder = sum(counted.values()) - counted["analysis"] - counted["hyper_analysis"]
    assert 5_000 < encoder < 50_000
    assert 5_000 < decoder < 50_000
    assert sum(parameter.numel() for parameter in model.parameters()) < 15_000_000
