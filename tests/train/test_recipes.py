"""Every shipped recipe trains a few steps, and the loss falls."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

import calotype.codecs
from calotype.registry import codec_info
from calotype.train.loop import Run, train
from calotype.train.protocol import Training, codec_training
from calotype.train.schedule import Schedule
from calotype.train.step import BETAS
from tests.train.toys import Clock

FOLDER = Path(calotype.codecs.__file__ or "").parent
# A step takes most of a minute, or gigabytes; their parts are those of others.
TOO_LARGE = {"rnn.paper", "vae.hific-paper", "vae.hific-paper-gan"}
# By networks that are no part of this package; their loss hangs on what is drawn.
PERCEIVED = {"vae.swift-realism", "vae.swift-realism-gan", "vae.hific-compact-gan"}
# Others train the same networks, of other sizes.
SLOW = {"rnn.thumb-conv", "vae.factorized-compact", "vae.hific-compact", "vae.hyperprior-compact", "vae.wide"}
ALL = sorted({f"{path.parts[-3]}.{path.stem}" for path in FOLDER.glob("*/recipes/*.toml")} - TOO_LARGE)
RECIPES = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ALL]


def crop_side(training: Training[nn.Module], model: nn.Module, name: str) -> int:
    """Of crops that are small, and that the model takes; MS-SSIM has five scales."""
    return max(192 if name.endswith("ms-ssim") else 32, training.crop_unit(model))


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_trains(name: str, clock: Clock, images: Path, tmp_path: Path) -> None:
    if name in PERCEIVED and not Path(os.environ.get("CALOTYPE_DATA", "nowhere"), "..", "perceptual").is_dir():
        pytest.skip("CALOTYPE_DATA names no folder with ../perceptual beside it")
    training, recipe = codec_training(name)
    side = crop_side(training, training.build(recipe), name)
    run = Run(name, [images], tmp_path, Schedule(2, batch=1, crop=side, late_crop=side, rescale=1), log_every=1)
    progress = train(run)
    *steps, validation, throughput = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(steps) == progress.step == 2
    assert progress.skipped == 0
    if codec_info(name.partition(".")[0]).lossless:
        lines = [*steps, {"bpsp": validation["validation_bpsp"]}]
        assert all(
            0 < line["bpsp"] + line.get("bpsp_context", 0) < 30 for line in lines
        )  # a step is of one or the other
    else:
        assert all(line["bpp"] > 0 and line["psnr"] > 0 for line in steps)
        rates = [bpp for bpp, _ in validation["validation_curve"]]
        assert rates[0] <= rates[-1]
    assert throughput["of_matrix_product"] > 0


@pytest.mark.parametrize("name", RECIPES)
def test_steps_lower_the_loss(name: str) -> None:
    if name in PERCEIVED:
        pytest.skip("its loss hangs on what is drawn")
    torch.manual_seed(0)
    training, recipe = codec_training(name)
    model = training.build(recipe)
    side = crop_side(training, model, name)
    crops = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), (side, side), mode="bicubic").clamp(0, 1)
    objective = training.objectives(model)[0]  # the networks'; what others learn hangs on it
    optimiser = torch.optim.Adam(objective.parameters, lr=3e-4, betas=BETAS)
    losses = []
    for _ in range(6):
        loss, _ = objective.loss(model, crops, torch.tensor([0.5]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses[-2:]) < 0.99 * losses[0]
