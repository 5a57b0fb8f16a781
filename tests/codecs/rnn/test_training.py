"""Training of `rnn`: units, bits, the loss, and every recipe from training to files. All of it small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import calotype.codecs.rnn
from calotype.codec import Host
from calotype.codecs.rnn.codec import RNNCodec
from calotype.codecs.rnn.networks import RNN
from calotype.codecs.rnn.recipe import Recipe
from calotype.codecs.rnn.training import TRAINING, binarise, loss
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.weights import Weights

RECIPES = sorted(path.stem for path in (Path(calotype.codecs.rnn.__file__ or "").parent / "recipes").glob("*.toml"))
PAIRS = [("lstm", "one-shot"), ("gru", "scaled"), ("associative", "additive")]


def small(name: str) -> Recipe:
    """A shipped recipe with fewer of everything."""
    recipe = Recipe.load(name)
    encoder, decoder = ((16,) * len(widths) for widths in (recipe.encoder, recipe.decoder))
    refinements = min(recipe.refinements, 2)
    return replace(
        recipe, surface_width=12, iterations=3 + refinements, refinements=refinements, encoder=encoder, decoder=decoder
    )


def small_model(recipe: Recipe) -> RNN:
    torch.manual_seed(0)
    return RNN(recipe)


def decoded(weights: Weights, photo: np.ndarray) -> np.ndarray:
    """What an exported model makes of a photo."""
    codec = RNNCodec(Host(weights))
    payload = codec.encode(Image(photo), EncodeOptions(quality=100))
    return codec.decode(payload, DecodeOptions()).pixels


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_exports_and_codes(name: str, photo: np.ndarray) -> None:
    model = small_model(small(name))
    for _ in range(2):
        for objective in TRAINING.objectives(model):
            objective.loss(model, torch.rand(2, 3, 64, 64), torch.rand(2))[0].backward()  # type: ignore[no-untyped-call]
            torch.optim.Adam(objective.parameters, lr=1e-3).step()
    assert decoded(Weights(TRAINING.freeze(model), "a test"), photo).shape == photo.shape


@pytest.mark.parametrize(("unit", "reconstruction"), PAIRS)
def test_units_and_reconstructions_decode_what_was_trained(unit: str, reconstruction: str, photo: np.ndarray) -> None:
    """Exported networks come to the image that training saw, on the engine of users; and they are read back."""
    recipe = replace(small("compact"), unit=unit, reconstruction=reconstruction, iterations=3, refinements=0)  # type: ignore[arg-type]
    model = small_model(recipe).eval()
    image = torch.from_numpy(photo[:32, :48]).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        encoder, decoder = model.start(image)
        shown, missing = torch.full_like(image, 0.5), image - 0.5
        for _ in range(recipe.iterations):
            codes, encoder = model.iterate(missing, encoder, decoder)
            part, decoder = model.decoder(binarise(codes, chance=False), *decoder)
            shown = part + (0.5 if reconstruction == "one-shot" else shown)
            missing = image - shown
    expected = (shown[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
    weights = Weights(TRAINING.freeze(model), "a test")
    found = decoded(weights, photo[:32, :48])
    assert np.mean(np.abs(found - expected) > 1) < 0.01  # of each parameter, 12 bits travel
    for name, value in TRAINING.thaw(weights).state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=2**-11, atol=0)


def test_bits_are_of_that_mean_and_pass_gradients() -> None:
    torch.manual_seed(0)
    codes = torch.full((20000,), 0.4, requires_grad=True)
    bits = binarise(codes, chance=True)
    assert set(bits.tolist()) == {-1.0, 1.0}
    assert float(bits.mean().detach()) == pytest.approx(0.4, abs=0.03)
    bits.sum().backward()  # type: ignore[no-untyped-call]
    assert codes.grad is not None
    assert bool((codes.grad == 1).all())
    assert binarise(torch.tensor([-0.1, 0.0, 0.1]), chance=False).tolist() == [-1, 1, 1]


def test_a_model_in_evaluation_is_measured_without_chance_and_at_its_rate() -> None:
    model = small_model(small("compact"))
    crops, rates = torch.rand(1, 3, 64, 64), torch.tensor([0.0])
    with torch.no_grad():
        assert len({float(loss(model, crops, rates)[0]) for _ in range(8)}) > 1
        model.eval()
        assert len({float(loss(model, crops, rates)[0]) for _ in range(2)}) == 1
        found = [loss(model, crops, torch.tensor([rate]))[1]["bpp"] for rate in (0.0, 0.34, 0.99)]
    assert torch.stack(found).tolist() == [0.125, 0.25, 0.375]


def test_foresight_learns_how_large_what_is_left_is() -> None:
    model = small_model(small("compact")).eval()
    assert model.foresight is not None
    crops, rates = 0.5 + 0.2 * torch.randn(2, 3, 32, 32), torch.rand(2)
    objective = TRAINING.objectives(model)[1]
    optimiser = torch.optim.Adam(objective.parameters, lr=1e-2)
    nats = []
    for _ in range(40):
        optimiser.zero_grad()
        value = objective.loss(model, crops, rates)[0]
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        nats.append(float(value.detach()))
    assert nats[-1] < nats[0] - 0.5


def test_scales_learn_what_is_missing() -> None:
    """Of flat images, next to nothing."""
    recipe = replace(small("compact"), iterations=4, refinements=0)
    model = small_model(recipe)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    crops = torch.full((1, 3, 32, 32), 0.5)
    for _ in range(60):
        optimiser.zero_grad()
        loss(model, crops, torch.tensor([0.5]))[0].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    encoder, decoder = model.start(crops)
    with torch.no_grad():
        for _ in range(recipe.iterations):
            codes, encoder = model.iterate(crops - 0.5, encoder, decoder)
            _, decoder = model.decoder(binarise(codes, chance=False), *decoder)
    assert float(decoder[0].mean()) < -1
