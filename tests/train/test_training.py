"""Training from pictures to weights: every shipped recipe, resuming, warm starts, steps that go wrong."""

import importlib
import io
import json
import subprocess
import sys
import tarfile

import numpy as np
import PIL.Image
import pytest
import torch

import calotype
from calotype.codec import Host
from calotype.codecs.vae import training
from calotype.codecs.vae.codec import VAECodec
from calotype.errors import CalotypeError, Unsupported
from calotype.image import Image
from calotype.nets.exact import ExactConv
from calotype.options import DecodeOptions, EncodeOptions
from calotype.runtime.weights import Weights
from calotype.train.data import TILE, cut_crops, draw_places, load_tiles
from calotype.train.export import export_run
from calotype.train.loop import Run, codec_training, train
from calotype.train.schedule import Schedule, seconds
from calotype.train.state import load_state

RECIPES = ["factorized", "hyperprior", "mean-scale", "swift", "wide"]
LOSSLESS = ["l3c.compact", "l3c.paper"]


def picture(seed: int, height: int, width: int) -> PIL.Image.Image:
    rng = np.random.default_rng(seed)
    noise = PIL.Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
    return noise.resize((width, height), PIL.Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a picture of two tiles and an archive of two."""
    folder = tmp_path_factory.mktemp("pictures")
    picture(0, TILE + 90, 2 * TILE + 40).save(folder / "wide.png")
    (folder / "notes.txt").write_text("not a picture")
    with tarfile.open(folder / "more.tar", "w") as archive:
        for seed in (1, 2):
            stream = io.BytesIO()
            picture(seed, TILE, TILE).save(stream, "webp", lossless=True)
            entry = tarfile.TarInfo(f"{seed}.webp")
            entry.size = stream.tell()
            archive.addfile(entry, io.BytesIO(stream.getvalue()))
    return folder


def short(total: float, **options) -> Schedule:
    return Schedule(total, batch=2, crop=64, late_crop=64, **options)


def test_tiles_are_cut_and_some_held_out(data):
    tiles, held_out = load_tiles([data])
    assert (len(tiles), len(held_out)) == (3, 1)
    archive = np.asarray(picture(2, TILE, TILE)).transpose(2, 0, 1)
    wide = np.asarray(picture(0, TILE + 90, 2 * TILE + 40)).transpose(2, 0, 1)
    everything = [tile.numpy() for tile in [*tiles, *held_out]]
    assert any(np.array_equal(tile, archive) for tile in everything)
    assert any(np.array_equal(tile, wide[:, :TILE, TILE : 2 * TILE]) for tile in everything)


def test_missing_and_empty_data_are_refused(tmp_path):
    with pytest.raises(CalotypeError, match="does not exist"):
        load_tiles([tmp_path / "nothing"])
    with pytest.raises(CalotypeError, match="0 tiles"):
        load_tiles([tmp_path])


def test_crops_are_parts_of_tiles_in_all_orientations(data):
    tiles, _ = load_tiles([data])
    generator = torch.Generator().manual_seed(0)
    crops = (cut_crops(tiles, draw_places(48, 1, TILE, generator), TILE) * 255).round().to(torch.uint8)
    seen = {tuple(crop[:, 0, 0].tolist() + crop[:, 0, -1].tolist()) for crop in crops}
    assert len(seen) == 8  # four turns, each mirrored or not
    for crop in crops:
        assert torch.equal(crop.flatten(1).sort(1).values, tiles[0].flatten(1).sort(1).values)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_trains_exports_and_codes(recipe, data, tmp_path):
    run = Run(f"vae.{recipe}", [data], tmp_path / "run", short(2.0), log_every=1)
    progress = train(run)
    assert progress.step >= 1
    lines = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    *steps, validation, throughput = lines
    assert len(steps) == progress.step
    assert all(line["bpp"] > 0 and line["psnr"] > 0 and line["skipped"] == 0 for line in steps)
    assert validation["validation_bpp"] > 0
    assert len(validation["validation_curve"]) == (5 if recipe in ("swift", "wide") else 1)
    assert 0 < throughput["of_matrix_product"] < 1
    assert 0 < throughput["of_time_in_steps"] < 1  # the validation at the end of two seconds is long

    path = export_run(run.out, tmp_path / "weights")
    card = path.with_suffix(".toml").read_text()
    weights = Weights.open(path)
    assert f'digest = "{weights.digest.hex()}"' in card
    assert f"steps = {progress.step}" in card
    codec = VAECodec(Host(weights))
    photo = np.asarray(picture(3, 96, 80))
    decoded = codec.decode(codec.encode(Image.from_array(photo), EncodeOptions()), DecodeOptions()).pixels
    assert decoded.shape == photo.shape
    assert decoded.std() > 0


@pytest.mark.parametrize("model", LOSSLESS)
def test_lossless_recipe_trains_exports_and_codes(model, data, tmp_path):
    run = Run(model, [data], tmp_path / "run", short(2.0), log_every=1)
    progress = train(run)
    *steps, validation, _ = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert len(steps) == progress.step >= 1
    assert all(0 < line["bpsp_colours"] < line["bpsp"] < 15 and line["skipped"] == 0 for line in steps)
    assert 0 < validation["validation_bpsp"] < 15

    weights = Weights.open(export_run(run.out, tmp_path / "weights"))
    codec = importlib.import_module(f"calotype.codecs.{model.partition('.')[0]}.codec").CODEC(Host(weights))
    photo = np.asarray(picture(3, 96, 80))
    payload = codec.encode(Image.from_array(photo), EncodeOptions())
    np.testing.assert_array_equal(codec.decode(payload, DecodeOptions()).pixels, photo)


def test_one_rate_models_refuse_a_quality(data):
    torch.manual_seed(0)
    codec = VAECodec(Host(Weights(training.freeze(training.build("factorized")), "factorized")))
    with pytest.raises(Unsupported, match="one rate"):
        codec.encode(Image.from_array(np.zeros((8, 8, 3), np.uint8)), EncodeOptions(quality=50))


@pytest.mark.parametrize(
    ("name", "share"), [*((f"vae.{recipe}", 0.9) for recipe in RECIPES), ("l3c.compact", 0.98), ("l3c.paper", 0.97)]
)
def test_steps_lower_the_loss(name, share, data):
    torch.manual_seed(0)
    training, recipe = codec_training(name)
    model = training.build(recipe)
    crops = cut_crops(load_tiles([data])[0], draw_places(2, 3, 64, torch.Generator().manual_seed(0)), 64)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-4)
    losses = []
    for _ in range(12):
        loss, _ = training.loss(model, crops, torch.tensor([0.3, 0.8]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses[-3:]) < share * losses[0]


def test_runs_resume(data, tmp_path):
    run = Run("vae.swift", [data], tmp_path / "run", short(2.0))
    train(run)
    done = load_state(run.out / "state.pt")
    longer = Run("vae.swift", [data], run.out, short(done["elapsed"] + 1), log_every=1)
    progress = train(longer)
    assert progress.step > done["step"]
    assert done["elapsed"] < progress.elapsed
    assert progress.elapsed >= done["elapsed"] + 1
    with pytest.raises(CalotypeError, match=r"holds a run of vae\.swift"):
        train(Run("vae.factorized", [data], run.out, short(8.0)))


def test_steps_that_are_not_finite_are_skipped(data, tmp_path, monkeypatch):
    original = training.loss
    calls = []

    def sometimes_broken(model, x, numbers):
        loss, figures = original(model, x, numbers)
        calls.append(0)
        return (loss * float("nan") if len(calls) % 2 else loss), figures

    monkeypatch.setattr(training, "loss", sometimes_broken)
    run = Run("vae.swift", [data], tmp_path / "run", short(2.0))
    progress = train(run)
    assert progress.skipped == progress.step // 2  # the first call counts operations
    state = load_state(run.out / "state.pt")
    assert all(torch.isfinite(value).all() for value in state["parameters"].values())


def test_unknown_models_are_refused(data, tmp_path):
    for model in ("nothing.swift", "vae.nothing"):
        with pytest.raises(CalotypeError, match="no "):
            train(Run(model, [data], tmp_path, short(1.0)))


def test_learning_rate_warms_up_and_ends_at_zero():
    schedule = Schedule(1000.0, rate=1.0)
    rates = [schedule.learning_rate(t, step=10_000) for t in range(0, 1001, 10)]
    assert rates[0] == 0
    assert max(rates) > 0.99
    assert rates[-1] == pytest.approx(0)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert schedule.learning_rate(500.0, step=1) < 0.02


def test_durations():
    assert [seconds(text) for text in ("90s", "40m", "1h30m", "1.5h")] == [90, 2400, 5400, 5400]
    for text in ("", "40", "m", "40m?", "4 m"):
        with pytest.raises(Unsupported):
            seconds(text)


@pytest.mark.parametrize("recipe", ["swift", "wide"])
def test_codecs_for_all_rates_stay_small(recipe):
    """Their limits: 50 kMAC per pixel each way, 15 million parameters."""
    model = training.build(recipe)
    side = 256
    parts = ("analysis", "hyper_analysis", "hyper_synthesis", "context", "synthesis")
    counted = dict.fromkeys(parts, 0.0)

    def count(part):
        def hook(layer, inputs, output):
            counted[part] += layer.weight[0].numel() * output[0].numel() / side**2

        return hook

    for part in parts:
        for layer in getattr(model, part).modules():
            if isinstance(layer, torch.nn.Conv2d | ExactConv):
                layer.register_forward_hook(count(part))
    with torch.no_grad():
        training.loss(model, torch.zeros(1, 3, side, side), torch.tensor([0.5]))
    encoder = sum(counted.values()) - counted["synthesis"]
    decoder = sum(counted.values()) - counted["analysis"] - counted["hyper_analysis"]
    assert 5_000 < encoder < 50_000
    assert 5_000 < decoder < 50_000
    assert sum(parameter.numel() for parameter in model.parameters()) < 15_000_000


def test_command_line_trains_and_exports(data, tmp_path):
    out, weights = tmp_path / "run", tmp_path / "weights"
    options = ["--data", str(data), "--out", str(out), "--time", "1s", "--crop", "64", "--late-crop", "64", "-T", "1"]
    commands = [["train", "vae.factorized", *options], ["export", str(out), "-o", str(weights)]]
    for command in commands:
        done = subprocess.run([sys.executable, "-m", "calotype", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    model = calotype.load(str(weights / "factorized.calow"))
    photo = np.asarray(picture(4, 64, 48))
    assert model.decode(model.encode(photo)).shape == photo.shape
    crooked = [sys.executable, "-m", "calotype", *commands[0], "--crop", "100"]
    refused = subprocess.run(crooked, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "multiples of 64" in refused.stderr


def test_command_line_stops_in_time(data, tmp_path):
    options = ["--data", str(data), "--out", str(tmp_path), "--time", "1h", "--stop-after", "1s", "--crop", "64"]
    command = [sys.executable, "-m", "calotype", "train", "vae.factorized", *options, "-T", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "of 60.0 minutes" in done.stderr
    assert load_state(tmp_path / "state.pt")["elapsed"] > 0


def test_training_needs_no_kernel(data, tmp_path):
    """Also from warm weights: a rented GPU machine has PyTorch, and nothing that we compiled."""
    code = f"""
import sys
for name in ("cffi", "_cffi_backend", "calotype.coding._kernel", "tomli_w"):
    sys.modules[name] = None
from calotype.cli.app import main
main(["train", "vae.swift", "--data", {str(data)!r}, "--out", {str(tmp_path)!r}, "--time", "1s", "--crop", "64",
      "--late-crop", "64", "--init", {str(calotype.load("vae.swift").card.path)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-2]["validation_psnr"] > 25  # it went on from the shipped weights
