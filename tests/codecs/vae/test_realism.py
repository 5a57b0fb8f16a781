"""A second synthesis for the same latents: bound to its weights, and trained from the first one."""

from __future__ import annotations

import io
import os
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import calotype
from calotype.codecs.vae import training
from calotype.codecs.vae.condition import CONDITIONS, condition
from calotype.codecs.vae.forward import code
from calotype.codecs.vae.freeze import freeze_realism, thaw, thaw_realism
from calotype.codecs.vae.realism import SHIFT_MAX, Realism, _stamp, realism_loss
from calotype.codecs.vae.training import TRAINING, VAETraining
from calotype.errors import CalotypeError, CorruptFile, Unsupported, WeightsNotFound
from calotype.evaluate.measure.metrics import find_metrics
from calotype.image import Image
from calotype.nets.export import initializers
from calotype.nets.perceptual import BACKBONE
from calotype.runtime.weights import REALISM, Weights, companion_path, pack_companion, rebind
from calotype.train.export import export_run
from tests import specimens
from tests.codecs.vae.seer import Seer, squares
from tests.codecs.vae.specimen import SMALL, second_synthesis

NAME = "vae.small"
SAMPLE = Path(__file__).parents[3] / "samples" / "coffee.png"
SWIFT = Path(training.__file__).parent / "weights" / "swift.calow"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small model with its second synthesis."""
    specimens.install(NAME, tmp_path, monkeypatch)
    return tmp_path / "small.calow"


def test_conditions_tell_all_values_apart() -> None:
    values = np.linspace(0, 1, 41)
    features = condition(values, values[::-1], np)
    assert features.shape == (41, CONDITIONS, 1, 1)
    tensors = torch.from_numpy(values), torch.from_numpy(values[::-1].copy())
    np.testing.assert_allclose(condition(tensors[0], tensors[1], torch), features)
    flat = features[..., 0, 0]
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    assert distances[~np.eye(41, dtype=bool)].min() > 0.01


def test_it_starts_as_the_first_synthesis() -> None:
    weights = specimens.weights(NAME)
    model, shipped = second_synthesis(weights, 0.0), thaw(weights)
    x, t = torch.rand(2, 3, 64, 128), torch.tensor([0.1, 0.8])
    with torch.no_grad():
        decoded, _ = code(shipped, x, t, thrifty=True)
        plain = shipped.synthesis(decoded * shipped.gains(t)[1], shipped.scales(t)[1])
        torch.testing.assert_close(model.show(decoded, t, torch.tensor([0.3, 1.0])), plain)


def test_thrifty_latents_cost_less() -> None:
    shipped = thaw(specimens.weights(NAME)).eval()
    x, t = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([0.2, 0.6])
    with torch.no_grad():
        (plain, dear), (thrifty, cheap) = code(shipped, x, t), code(shipped, x, t, thrifty=True)
    assert (cheap < dear).all()
    assert float((thrifty - plain).abs().max()) > 0.5


def test_training_moves_the_second_synthesis_only() -> None:
    model = second_synthesis(specimens.weights(NAME), 0.0)
    parameters = list(model.synthesis.parameters())
    before = {name: value.clone() for name, value in model.shipped.state_dict().items()}
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    crops = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat_interleave(16, 2)
    crops, losses = crops.repeat_interleave(16, 3), []
    for _ in range(8):
        torch.manual_seed(0)
        loss, figures = realism_loss(Seer(), model, crops, torch.tensor([0.2, 0.7]))
        assert set(figures) == {"bpp", "psnr", "lpips", "stamp"}
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses) < losses[0]
    for name, value in model.shipped.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_critic_is_deceived_in_training_only(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = specimens.weights(NAME)
    model = Realism(replace(SMALL, critic_width=4), thaw(weights), weights.digest)
    monkeypatch.setattr(training, "open_lpips", lambda folder: Seer())
    plain, critic = TRAINING.objectives(model)
    crops, rates = torch.rand(2, 3, 64, 64), torch.tensor([0.2, 0.7])
    assert {id(one) for one in critic.parameters}.isdisjoint(map(id, plain.parameters))
    loss, figures = critic.loss(model, crops, rates)
    assert set(figures) == {"accuracy"}
    loss.backward(inputs=critic.parameters)  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in critic.parameters)
    assert "deception" in plain.loss(model, crops, rates)[1]
    model.eval()
    with torch.no_grad():
        alone = realism_loss(Seer(), model, crops, rates)
        model.critic = None
        expected = realism_loss(Seer(), model, crops, rates)
    assert "deception" not in alone[1]
    assert float(alone[0]) == float(expected[0])


def test_in_evaluation_nothing_is_drawn() -> None:
    model = second_synthesis(specimens.weights(NAME), 0.01)
    x, rates = torch.rand(1, 3, 64, 64), torch.tensor([0.5])
    with torch.no_grad():
        assert len({float(realism_loss(Seer(), model, x, rates)[0]) for _ in range(8)}) > 1
        model.eval()
        assert len({float(realism_loss(Seer(), model, x, rates)[0]) for _ in range(2)}) == 1


def test_a_pattern_in_every_cell_is_seen() -> None:
    noise = 0.1 * torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    pattern = noise[:, :, :16, :16].tile(1, 1, 8, 8)
    assert float(_stamp(pattern)) == pytest.approx(float(pattern.square().mean()))
    assert float(_stamp(noise)) == pytest.approx(0.1**2 / 64, rel=0.1)


def test_the_network_that_sees_is_moved() -> None:
    seen: list[torch.Size] = []

    class Looks(Seer):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            seen.append(a.shape)
            return squares(a, b)

    model = second_synthesis(specimens.weights(NAME), 0.0)
    realism_loss(Looks(), model, torch.rand(1, 3, 64, 128), torch.tensor([0.5]))
    assert seen == [(1, 3, 64 - SHIFT_MAX, 128 - SHIFT_MAX)]


def test_samples_show_both_ends() -> None:
    model = second_synthesis(specimens.weights(NAME), 0.01).eval()
    crops = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        faithful, natural = TRAINING.samples(model, crops)
        decoded, _ = code(model.shipped, crops, torch.full((2,), training.SAMPLE_RATE), thrifty=True)
        realism = torch.ones(2)
        torch.testing.assert_close(natural, model.show(decoded, torch.full((2,), training.SAMPLE_RATE), realism))
    assert faithful.shape == crops.shape
    assert float((faithful - natural).abs().max()) > 0.01


def test_a_file_brings_it_back() -> None:
    weights = specimens.weights(NAME)
    model = second_synthesis(weights, 0.01)
    again = thaw_realism(second_synthesis(weights, 0.5), Weights(freeze_realism(model), "again"))
    for name, value in model.synthesis.state_dict().items():
        torch.testing.assert_close(again.synthesis.state_dict()[name], value, rtol=1e-3, atol=1e-5)  # 12 bits
    other = Weights(pack_companion(bytes(4), {}, REALISM), "other")
    with pytest.raises(CalotypeError, match="other shows the latents of weights 00000000"):
        thaw_realism(model, other)


def test_another_engine_sees_the_same(installed: Path) -> None:
    model, image = calotype.load(NAME), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = model.encode(image)
    decoded = [each.decode(data, realism=0.7).astype(int) for each in (model, calotype.load(NAME, device="cpu"))]
    assert np.abs(decoded[0] - decoded[1]).max() <= 1


def test_pillow_loads_it(installed: Path) -> None:
    import calotype.interop.pillow

    model, image = calotype.load(NAME), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = model.encode(image)
    opened = [Pillow.open(io.BytesIO(data)) for _ in range(2)]
    opened[0].load(realism=1)  # type: ignore[call-arg]
    np.testing.assert_array_equal(np.asarray(opened[0]), model.decode(data, realism=1))
    np.testing.assert_array_equal(np.asarray(opened[1]), model.decode(data))
    with pytest.raises(OSError, match="decoded already"):
        opened[1].load(realism=1)  # type: ignore[call-arg]


def test_without_it_realism_is_refused(installed: Path) -> None:
    data = calotype.load(NAME).encode(np.zeros((8, 8, 3), np.uint8))
    companion_path(installed, REALISM).unlink()
    with pytest.raises(Unsupported, match=f"{NAME} takes no realism; leave it out"):
        calotype.decode(data, realism=0.5)
    assert calotype.decode(data).shape == (8, 8, 3)


def test_one_of_other_weights_is_refused(installed: Path) -> None:
    path = companion_path(installed, REALISM)
    data = calotype.load(NAME).encode(np.zeros((8, 8, 3), np.uint8))
    path.write_bytes(rebind(Weights.open(path), bytes(4)))
    calotype.registry._open.cache_clear()
    with pytest.raises(CorruptFile, match=r"belongs to weights 00000000, .* make it again with `calotype export`"):
        calotype.decode(data, realism=0.5)
    assert calotype.decode(data).shape == (8, 8, 3)  # nothing is wrong with the model itself


def test_a_run_goes_beside_its_weights(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = second_synthesis(specimens.weights(NAME), 0.01)
    monkeypatch.setattr(VAETraining, "build", lambda self, recipe: second_synthesis(specimens.weights(NAME), 0.0))
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    run.mkdir()
    elsewhere.mkdir()
    state = {"model": "vae.small-realism", "average": model.state_dict(), "tiles": 1, "step": 2, "elapsed": 3.0}
    torch.save(state | {"device": "cpu", "skipped": 0, "schedule": {}}, run / "state.pt")
    companion_path(installed, REALISM).unlink()
    path = export_run(run, installed.parent)
    assert path == companion_path(installed, REALISM)
    assert path.read_bytes() == freeze_realism(model)
    card = tomllib.loads(installed.with_suffix(".toml").read_text())
    assert card["name"] == NAME
    assert card["realism"]["recipe"] == "small-realism"
    assert (card["realism"]["bytes"], card["realism"]["training"]["steps"]) == (path.stat().st_size, 2)
    with pytest.raises(CalotypeError, match="has no card of theirs"):
        export_run(run, elsewhere)


def test_the_recipe_trains_for_the_shipped_weights() -> None:
    model = TRAINING.build("swift-realism")
    assert isinstance(model, Realism)
    assert bytes(model.digest.tolist()) == Weights.open(SWIFT).digest
    assert TRAINING.crop_unit(model) == 64


def test_training_against_a_critic_goes_on_from_the_shipped_one() -> None:
    shipped = Weights.open(companion_path(SWIFT, REALISM))
    started = TRAINING.thaw(shipped)
    assert isinstance(started, Realism)
    assert started.critic is not None  # no weights file holds one: it starts afresh
    assert not any("critic" in name for name in initializers(shipped.network("synthesis")))
    assert bytes(started.digest.tolist()).hex() == shipped.companion_of


def test_folders_of_networks_that_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALOTYPE_DATA", raising=False)
    model = second_synthesis(specimens.weights(NAME), 0.0)
    with pytest.raises(WeightsNotFound, match="set CALOTYPE_DATA"):
        TRAINING.objectives(model)
    with pytest.raises(WeightsNotFound, match="not there"):
        VAETraining(tmp_path).objectives(model)
    with pytest.raises(Unsupported, match=r"vae\.small is not trained by a perceptual network"):
        VAETraining(tmp_path).objectives(thaw(specimens.weights(NAME)))


def test_the_shipped_one_looks_nearer_and_is_farther() -> None:
    folder = Path(os.environ.get("CALOTYPE_DATA", "nowhere"), "..", "perceptual")
    if not (folder / BACKBONE).is_file():
        pytest.skip("CALOTYPE_DATA names no folder with ../perceptual beside it")
    image = Image.from_array(calotype.read(SAMPLE).pixels[:256, :256])
    model = calotype.load(SWIFT)
    data = model.encode(image, 25)
    psnr, lpips = (
        [metric.measure(image, model.decode_image(data, realism=value)) or 0.0 for value in (0, 0.5, 1)]
        for metric in find_metrics(["psnr", "lpips"], folder)
    )
    assert psnr[0] + 0.1 > psnr[1] > psnr[2] > psnr[0] - 1.5  # a mixture of two guesses may be better than either
    assert psnr[2] < psnr[0]
    assert lpips[0] > lpips[1] > lpips[2]
    assert lpips[2] < 0.8 * lpips[0]
