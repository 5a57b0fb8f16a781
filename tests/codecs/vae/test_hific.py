"""The transforms and losses of HiFiC: from training to files, all of it tiny."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from calotype.codec import Host
from calotype.codecs.vae import codec as vae
from calotype.codecs.vae import training
from calotype.codecs.vae.adapt import adapt, adapts
from calotype.codecs.vae.codec import VAECodec
from calotype.codecs.vae.forward import forward
from calotype.codecs.vae.freeze import thaw
from calotype.codecs.vae.hific import EPSILON, ChannelNorm
from calotype.codecs.vae.layout import FILTER
from calotype.codecs.vae.networks import VAE
from calotype.codecs.vae.recipe import LATENT_STRIDE, Recipe
from calotype.codecs.vae.training import TRAINING, loss
from calotype.errors import Unsupported
from calotype.evaluate.measure.subjects import Own
from calotype.evaluate.rivals import Rung
from calotype.image import Image
from calotype.nets.exact import ExactConv
from calotype.options import DecodeOptions, EncodeOptions, Region
from calotype.runtime.engine import engine_on
from calotype.runtime.weights import Weights
from tests.codecs.vae.seer import Seer
from tests.codecs.vae.specimen import drawn

TINY = replace(
    Recipe.load("hific-compact-gan"),
    name="tiny",
    width=4,
    blocks=(0, 1),
    latents=16,
    hyper_latents=4,
    hyper_width=12,
    context_width=16,
    context_steps=1,
    critic_width=4,
)
RATES = torch.zeros(2)


def build() -> VAE:
    torch.manual_seed(0)
    return VAE(TINY)


def crops() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trained() -> VAE:
    """After a step of each player."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "open_lpips", lambda folder: Seer())
        model = build()
        for objective in TRAINING.objectives(model):
            objective.loss(model, crops(), RATES)[0].backward(inputs=objective.parameters)  # type: ignore[no-untyped-call]
            torch.optim.Adam(objective.parameters, lr=1e-2).step()
    return model


@pytest.fixture(scope="module")
def weights(trained: VAE) -> Weights:
    return Weights(adapt(Weights(TRAINING.freeze(trained), "vae.tiny"), map(drawn, range(2))), "vae.tiny")


def test_channels_are_normed_place_by_place() -> None:
    norm = ChannelNorm(8)
    x = 5 + 3 * torch.randn(2, 8, 4, 6)
    normed = norm(x)
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 4, 6), rtol=0, atol=1e-5)
    variance = x.var(1, correction=0)
    torch.testing.assert_close(normed.var(1, correction=0), variance / (variance + EPSILON))
    torch.testing.assert_close(norm(x[:, :, 1:2, 2:3]), normed[:, :, 1:2, 2:3])


def test_it_codes_alike_on_both_engines(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae, "TILE", 64)
    image = Image.from_array(drawn(5))
    one, other = VAECodec(Host(weights)), VAECodec(Host(weights, engine_on("cpu")))
    payload = one.encode(image, EncodeOptions())
    assert adapts(weights)
    assert FILTER not in {chunk.tag for chunk in payload.chunks}  # it would smooth what was invented
    whole = one.decode(payload, DecodeOptions()).pixels
    assert whole.shape == image.pixels.shape
    assert whole.std() > 0
    assert np.abs(other.decode(payload, DecodeOptions()).pixels.astype(int) - whole).max() <= 1
    part = one.decode(payload, DecodeOptions(region=Region(50, 30, 70, 60))).pixels
    np.testing.assert_array_equal(part, whole[30:90, 50:120])
    with pytest.raises(Unsupported, match="has one rate"):
        one.encode(image, EncodeOptions(quality=50))
    with pytest.raises(Unsupported, match="refine for PSNR"):
        one.encode(image, EncodeOptions(effort=7))


def test_a_bench_asks_a_model_of_one_rate_for_that(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "tiny.calow").write_bytes(weights.data)
    (tmp_path / "tiny.toml").write_text(f'name = "vae.tiny"\ndigest = "{weights.digest.hex()}"\n')
    assert Own(str(tmp_path / "tiny.calow"), (20.0, 60.0)).ladder == (Rung(),)


def test_tiles_see_all_that_they_depend_on(trained: VAE) -> None:
    around, size = TINY.halo // LATENT_STRIDE, 4
    y = torch.randn(1, TINY.latents, 2 * around + size + 8, 2 * around + size + 8)
    scale = torch.zeros(1, TINY.width, 1, 1)

    def shown(start: int, stop: int) -> torch.Tensor:
        """The middle of what latents from `start` to `stop` show."""
        found: torch.Tensor = trained.synthesis(y[:, :, start:stop, start:stop], scale)
        first = (around + 4 - start) * LATENT_STRIDE
        return found[:, :, first : first + size * LATENT_STRIDE, first : first + size * LATENT_STRIDE]

    with torch.no_grad():
        whole = shown(0, y.shape[2])
        torch.testing.assert_close(shown(4, 4 + 2 * around + size), whole, rtol=0, atol=1e-5)
        assert float((shown(around + 2, around + 6 + size) - whole).abs().max()) > 1e-3  # so that this can fail
    assert [Recipe.load(name).halo for name in ("swift", "hific-compact", "hific-paper")] == [64, 192, 384]


def test_weights_bring_back_all_but_the_critic(trained: VAE, weights: Weights) -> None:
    again = thaw(weights).eval()
    trained.eval()
    assert again.recipe == TINY
    before, after = trained.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    exact = ("hyper_synthesis.", "context.")  # integers stand for their real values
    for name, value in before.items():
        if not name.startswith(("critic.", *exact)):
            torch.testing.assert_close(after[name], value, rtol=1e-3, atol=1e-5)
    assert not torch.equal(before["critic.layers.0.bias"], after["critic.layers.0.bias"])
    assert not any("critic" in name for name in {*weights.arrays, *weights.networks})
    with torch.no_grad():
        pictures = [forward(model, crops(), RATES)[0] for model in (trained, again)]
    torch.testing.assert_close(*pictures, rtol=0, atol=2e-2)


def test_the_rate_decides_what_it_weighs() -> None:
    model = build().eval()
    with torch.no_grad():
        figures = loss(model, crops(), RATES, Seer())[1]
        totals = []
        for target in (0.5 * figures["bpp"], 2 * figures["bpp"]):
            model.recipe = replace(TINY, rate_target=float(target))
            totals.append(loss(model, crops(), RATES, Seer())[0])
    low, high = TINY.lmbda
    assert float(totals[0] - totals[1]) == pytest.approx(float(figures["bpp"]) * (1 / low - 1 / high), rel=1e-4)
    assert set(figures) == {"bpp", "psnr", "lpips"}
    with pytest.raises(Unsupported, match="only a model of one rate has a rate_target"):
        replace(TINY, knots=3)


def test_the_critic_counts_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    loud, figures = loss(model, crops(), RATES, Seer())
    assert "deception" in figures
    torch.manual_seed(0)
    loud = loss(model, crops(), RATES, Seer())[0]
    monkeypatch.setattr(training, "ADVERSARIAL", 0.0)
    torch.manual_seed(0)
    quiet, figures = loss(model, crops(), RATES, Seer())
    assert float((loud - quiet).detach()) == pytest.approx(0.15 * float(figures["deception"]), rel=0.05)


def test_samples_are_what_is_decoded(trained: VAE) -> None:
    trained.eval()
    with torch.no_grad():
        (shown,) = TRAINING.samples(trained, crops())
        torch.testing.assert_close(shown, forward(trained, crops(), RATES)[0])


def test_the_compact_one_decodes_with_little_arithmetic() -> None:
    """15 to 25 kMAC per pixel. Counted where nothing is computed."""
    model = VAE(Recipe.load("hific-compact")).to("meta")
    side, counted = 256, 0.0

    def count(layer: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(layer.weight, torch.Tensor)
        places = inputs[0] if isinstance(layer, torch.nn.ConvTranspose2d) else output
        each = layer.weight[0, 0].numel() * layer.weight.shape[0] * layer.weight.shape[1]
        counted += each * places[0, 0].numel() / side**2

    for part in (model.hyper_synthesis, model.context, model.synthesis):
        for layer in part.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d | ExactConv):
                layer.register_forward_hook(count)
    with torch.no_grad():
        forward(model, torch.zeros(1, 3, side, side, device="meta"), torch.zeros(1, device="meta"))
    assert 15_000 < counted < 25_000
