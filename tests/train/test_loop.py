"""Runs from start to end: resumed, stopped, started from weights, fitted to one image, of a plug-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import calotype
from calotype.errors import CalotypeError
from calotype.train import loop
from calotype.train.export import export_run
from calotype.train.loop import Run, train
from calotype.train.schedule import WHOLE, Schedule
from calotype.train.state import STATE, load_state
from tests.train.toys import Clock, Line, Thumbnail, ThumbnailTraining, make_image, thumbnail_loss

TINY = "deflate.tiny"  # the plug-in's


def short(total: float, **choices: Any) -> Schedule:
    return Schedule(total, **{"batch": 2, "crop": 64, "late_crop": 64, **choices})


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def thumbnails(monkeypatch: pytest.MonkeyPatch) -> ThumbnailTraining:
    """Stand in for the training of any codec."""
    found = ThumbnailTraining()
    monkeypatch.setattr(loop, "codec_training", lambda model: (found, "any"))
    return found


def test_a_plug_in_trains_and_exports(clock: Clock, images: Path, tmp_path: Path) -> None:
    run = Run(TINY, [images], tmp_path / "run", short(20, rate=0.05), log_every=1)
    progress = train(run)
    assert progress.step == 20
    *steps, validation, throughput = log_of(run.out)
    assert [line["step"] for line in steps] == list(range(1, 21))
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert all(line["bpp"] > 0 and line["psnr"] > 0 and line["skipped"] == 0 for line in steps)
    (low, _), (high, _) = validation["validation_curve"]
    assert low < high
    assert 0 < throughput["of_time_in_steps"] <= 1

    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "tiny.toml").write_text('description = "Learned."\nresults = 1\n')
    path = export_run(run.out, weights)
    card = path.with_suffix(".toml").read_text()
    assert 'description = "Learned."' in card
    assert "steps = 20" in card
    assert "results" not in card  # they were of other weights
    photo = np.asarray(make_image(3, 48, 64))
    model = calotype.load(path)
    assert np.abs(model.decode(model.encode(photo, 90)).astype(int) - photo).max() < 20


def test_runs_resume(clock: Clock, images: Path, tmp_path: Path) -> None:
    run = Run(TINY, [images], tmp_path, short(4))
    train(run)
    done = load_state(run.out / STATE)
    assert done.keys() == {
        "model", "parameters", "average", "optimiser", "skipped", "generator", "schedule", "device", "tiles", "step",
        "elapsed",
    }  # fmt: skip
    progress = train(replace(run, schedule=short(7)))
    assert progress.step == done["step"] + 3
    assert progress.elapsed == 7
    with pytest.raises(CalotypeError, match=r"holds a run of deflate\.tiny"):
        train(Run("vae.factorized", [images], run.out, short(8)))


def test_a_run_goes_on_from_pieces(clock: Clock, images: Path, tmp_path: Path) -> None:
    train(Run(TINY, [images], tmp_path / "run", short(3), pieces=tmp_path / "pieces"))
    progress = train(Run(TINY, [images], tmp_path / "pieces", short(5)))
    assert progress.step == 5


def test_a_run_stops_in_time_and_goes_on_when_repeated(clock: Clock, images: Path, tmp_path: Path) -> None:
    run = Run(TINY, [images], tmp_path, short(120), stop_after=20)
    progress = train(run)
    assert 0 < progress.elapsed < 30
    assert load_state(tmp_path / STATE)["step"] == progress.step
    total = progress.elapsed + 5
    again = train(replace(run, schedule=short(total), stop_after=None))
    assert again.step > progress.step
    assert again.elapsed >= total
    curves = [line["validation_curve"] for line in log_of(tmp_path) if "validation_curve" in line]
    assert len(curves) == 2
    assert all(len(curve) == 2 and sorted(curve) == curve for curve in curves)


def test_a_run_starts_from_weights(clock: Clock, images: Path, tmp_path: Path) -> None:
    (tmp_path / "start.calow").write_bytes(b"30")
    train(Run(TINY, [images], tmp_path / "run", short(1, rate=0.0), init=tmp_path / "start.calow"))
    assert float(load_state(tmp_path / "run" / STATE)["average"]["log_step"].exp()) == pytest.approx(30)


class Judged(Thumbnail):
    """With a part that weights files do not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = torch.nn.Linear(3, 1)


@pytest.mark.parametrize("same_kind", [True, False])
def test_parts_that_weights_lack_start_fresh(
    clock: Clock,
    thumbnails: ThumbnailTraining,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    same_kind: bool,
) -> None:
    start = Thumbnail()
    torch.nn.init.constant_(start.pixels, 0.25)
    (tmp_path / "start.calow").write_bytes(b"any")
    monkeypatch.setattr(thumbnails, "build", lambda recipe: Judged())
    monkeypatch.setattr(thumbnails, "thaw", lambda weights: start if same_kind else Line())
    run = Run(TINY, [images], tmp_path / "run", short(1, rate=0.0), init=tmp_path / "start.calow")
    if not same_kind:
        with pytest.raises(CalotypeError, match=r"start\.calow cannot be what deflate\.tiny starts from: .*\"w\""):
            train(run)
        return
    train(run)
    parameters = load_state(tmp_path / "run" / STATE)["parameters"]
    assert float(parameters["pixels"].mean()) == 0.25
    assert parameters["critic.weight"].shape == (1, 3)


@pytest.mark.parametrize("from_file", [True, False])
def test_one_image_of_any_size_is_fitted(
    clock: Clock, thumbnails: ThumbnailTraining, tmp_path: Path, from_file: bool
) -> None:
    image = make_image(5, 37, 53)
    image.save(tmp_path / "image.png")
    data = [tmp_path / "image.png"] if from_file else torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    schedule = short(150, batch=1, crop=WHOLE, late_crop=0, rate=0.05, average=10)
    train(Run(TINY, data, tmp_path / "run", schedule, log_every=10))
    losses = [line["loss"] for line in log_of(tmp_path / "run") if "loss" in line]
    assert losses[-1] < 0.1 * losses[0]
    fitted = Thumbnail()
    fitted.load_state_dict(load_state(tmp_path / "run" / STATE)["average"])
    whole = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    assert float(thumbnail_loss(fitted, whole, torch.zeros(1))[0]) < 1.1 * losses[-1]


def test_steps_that_are_not_finite_are_skipped(
    clock: Clock, thumbnails: ThumbnailTraining, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def sometimes_broken(model: Thumbnail, x: torch.Tensor, rates: torch.Tensor) -> tuple[torch.Tensor, Any]:
        loss, figures = thumbnail_loss(model, x, rates)
        calls.append(0)
        return (loss * float("nan") if len(calls) % 2 else loss), figures

    objectives = thumbnails.objectives
    broken: Callable[[Thumbnail], Any] = lambda model: [replace(objectives(model)[0], loss=sometimes_broken)]  # noqa: E731
    monkeypatch.setattr(thumbnails, "objectives", broken)
    progress = train(Run(TINY, [images], tmp_path, short(6)))
    assert (progress.step, progress.skipped) == (6, 3)  # the first call counts operations
    assert all(torch.isfinite(value).all() for value in load_state(tmp_path / STATE)["parameters"].values())


@pytest.mark.parametrize("crops", [{"crop": 256}, {"late_crop": 256}])
def test_crops_larger_than_the_images_are_refused_at_once(
    crops: dict[str, int], thumbnails: ThumbnailTraining, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(CalotypeError, match="do not fit into images of 192"):
        train(Run(TINY, [images], tmp_path, short(20, **crops)))


def test_half_precision_is_refused_where_nothing_stands_it(images: Path, tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match=r"nothing of deflate\.tiny computes in bfloat16"):
        train(Run(TINY, [images], tmp_path, short(1), half=True))


@pytest.mark.parametrize("model", ["nothing.swift", "vae.nothing"])
def test_unknown_models_are_refused(images: Path, tmp_path: Path, model: str) -> None:
    with pytest.raises(CalotypeError, match="no "):
        train(Run(model, [images], tmp_path, short(1)))
