"""Train one model for a given time: the same loop for every codec.

A codec's `training.py` gives `build(recipe_name) -> module`, `loss(module, crops, generator) -> (loss, figures)`,
`freeze(module) -> bytes` of a weights file and `thaw(weights) -> module`. A run's folder holds `state.pt`, everything
that is needed to go on, and `log.jsonl`.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import CalotypeError
from ..runtime.weights import Weights
from .data import load_tiles, random_crops
from .schedule import Schedule

EMA_DECAY = 0.999
CLIP_NORM = 1.0
STATE = "state.pt"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Run:
    """What to train, on what, for how long."""

    model: str
    """`codec.recipe`, as in `vae.swift`."""
    data: list[Path]
    """Folders or tar archives of pictures."""
    out: Path
    """Folder of the run; an unfinished run there is resumed."""
    schedule: Schedule
    device: str = "cpu"
    seed: int = 0
    init: Path | None = None
    """Weights file to start from instead of fresh parameters."""
    save_every: float = 300.0
    """Seconds between saved states."""
    log_every: int = 50
    """Steps between lines of the log."""


@dataclass
class Progress:
    """Where a run stands; what the log holds, averaged since its last line."""

    step: int = 0
    elapsed: float = 0.0
    skipped: int = 0
    """Steps left out because the loss or its gradient was not finite."""
    figures: dict[str, float] = field(default_factory=dict)


def codec_training(model: str) -> tuple[Any, str]:
    """The training module of a model's codec, and the recipe's name. Raises `CalotypeError`."""
    codec, _, recipe = model.partition(".")
    name = f"calotype.codecs.{codec}.training"
    try:
        return importlib.import_module(name), recipe
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise CalotypeError(f"{model}: no codec {codec!r} that can be trained") from None


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write aside, then rename: a kill leaves the state before."""
    aside = path.with_suffix(".tmp")
    torch.save(state, aside)
    os.replace(aside, path)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote. Raises `CalotypeError`."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]
    except (OSError, RuntimeError, EOFError) as error:
        raise CalotypeError(f"{path} is not a saved training state: {error}") from None


def train(run: Run, report: Callable[[Progress], None] = lambda progress: None) -> Progress:
    """Train until the schedule's time is used up; `report` is called at every line of the log.

    Raises `CalotypeError` if the run's folder holds another model's state.
    """
    training, recipe = codec_training(run.model)
    device = torch.device(run.device)
    torch.manual_seed(run.seed)
    generator = torch.Generator().manual_seed(run.seed)
    model: nn.Module = training.build(recipe)
    if run.init is not None:
        model.load_state_dict(training.thaw(Weights.open(run.init)).state_dict())
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(model.parameters(), lr=run.schedule.rate, betas=(0.9, 0.98), weight_decay=0.0)
    progress = Progress()

    run.out.mkdir(parents=True, exist_ok=True)
    path = run.out / STATE
    if path.exists():
        state = load_state(path)
        if state["model"] != run.model:
            raise CalotypeError(f"{run.out} holds a run of {state['model']}, not {run.model}; choose another folder")
        model.load_state_dict(state["parameters"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
        progress = Progress(state["step"], state["elapsed"], state["skipped"])

    def save() -> None:
        state = {
            "model": run.model,
            "parameters": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "generator": generator.get_state(),
            "schedule": asdict(run.schedule),
            "device": device.type if device.type == "cpu" else torch.cuda.get_device_name(device),
            "tiles": len(tiles),
            "step": progress.step,
            "elapsed": progress.elapsed,
            "skipped": progress.skipped,
        }
        save_state(path, state)

    tiles, _ = load_tiles(run.data)
    tiles = tiles.to(device)
    sums: dict[str, float] = {}
    saved = mark = time.monotonic()
    with open(run.out / LOG, "a", buffering=1) as log:
        while progress.elapsed < run.schedule.total:
            batch, crop = run.schedule.crops(progress.elapsed)
            for group in optimiser.param_groups:
                group["lr"] = run.schedule.learning_rate(progress.elapsed, progress.step + 1)
            loss, figures = training.loss(model, random_crops(tiles, batch, crop, generator), generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            if math.isfinite(float(loss.detach())) and math.isfinite(float(norm)):
                optimiser.step()
                _follow(average, model, progress.step)
            else:
                progress.skipped += 1
            now = time.monotonic()
            progress.elapsed, progress.step, mark = progress.elapsed + now - mark, progress.step + 1, now
            for key, value in {"loss": float(loss.detach()), **figures, "norm": float(norm)}.items():
                sums[key] = sums.get(key, 0.0) + value / run.log_every
            if progress.step % run.log_every == 0:
                progress.figures, sums = sums, {}
                line = {
                    "step": progress.step,
                    "elapsed": round(progress.elapsed, 1),
                    "skipped": progress.skipped,
                }
                log.write(json.dumps(line | {key: round(value, 5) for key, value in progress.figures.items()}) + "\n")
                report(progress)
            if now - saved > run.save_every:
                save()
                saved = mark = time.monotonic()
        save()
    return progress


def _follow(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the exponential average; early on it averages over fewer steps."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
