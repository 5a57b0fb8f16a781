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
from torch import Tensor, nn

from ..errors import CalotypeError
from ..runtime.weights import Weights
from .data import load_tiles, random_crops
from .schedule import Schedule

EMA_DECAY = 0.999
CLIP_NORM = 1.0
BETAS = (0.9, 0.98)  # of AdamW; runs are short, so second moments forget sooner than usual
VALIDATION_TILES = 16  # at most; parts of held-out tiles, measured at every save
VALIDATION_CROP = 256
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

    Raises `CalotypeError` if the run's folder holds another model's state, or the data is missing.
    """
    training, recipe = codec_training(run.model)
    torch.manual_seed(run.seed)
    job = _Job.begin(run, training, recipe)
    tiles, held_out = load_tiles(run.data)
    tiles = tiles.to(run.device)
    held_out = held_out[:VALIDATION_TILES, :, :VALIDATION_CROP, :VALIDATION_CROP].to(run.device).float() / 255
    sums: dict[str, float] = {}
    progress = job.progress
    saved = mark = time.monotonic()
    with open(run.out / LOG, "a", buffering=1) as log:

        def write(figures: dict[str, float]) -> None:
            line = {"step": progress.step, "elapsed": round(progress.elapsed, 1), "skipped": progress.skipped}
            log.write(json.dumps(line | {key: round(value, 5) for key, value in figures.items()}) + "\n")

        while progress.elapsed < run.schedule.total:
            batch, crop = run.schedule.crops(progress.elapsed)
            for key, value in job.step(random_crops(tiles, batch, crop, job.generator)).items():
                sums[key] = sums.get(key, 0.0) + value / run.log_every
            now = time.monotonic()
            progress.elapsed, progress.step, mark = progress.elapsed + now - mark, progress.step + 1, now
            if progress.step % run.log_every == 0:
                progress.figures, sums = sums, {}
                write(progress.figures)
                report(progress)
            finished = progress.elapsed >= run.schedule.total
            if finished or now - saved > run.save_every:
                job.save(tiles=len(tiles))
                write(job.validate(held_out))
                saved = mark = time.monotonic()
    return progress


@dataclass
class _Job:
    """A model in training: all that a saved state brings back."""

    run: Run
    training: Any
    model: nn.Module
    average: nn.Module
    """Exponential average of the parameters: what is exported."""
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    """Of crops and rates; on the processor, so that a run repeats on any device."""
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def begin(cls, run: Run, training: Any, recipe: str) -> _Job:
        """Fresh, warm-started, or resumed where the run's folder holds a state."""
        model: nn.Module = training.build(recipe)
        if run.init is not None:
            model.load_state_dict(training.thaw(Weights.open(run.init)).state_dict())
        model = model.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = copy.deepcopy(model).requires_grad_(False)
        optimiser = torch.optim.AdamW(model.parameters(), lr=run.schedule.rate, betas=BETAS, weight_decay=0.0)
        job = cls(run, training, model, average, optimiser, torch.Generator().manual_seed(run.seed))
        run.out.mkdir(parents=True, exist_ok=True)
        if (run.out / STATE).exists():
            job._resume(load_state(run.out / STATE))
        return job

    def _resume(self, state: dict[str, Any]) -> None:
        if state["model"] != self.run.model:
            message = f"{self.run.out} holds a run of {state['model']}, not {self.run.model}; choose another folder"
            raise CalotypeError(message)
        self.model.load_state_dict(state["parameters"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.progress = Progress(state["step"], state["elapsed"], state["skipped"])

    def save(self, tiles: int) -> None:
        device = torch.device(self.run.device)
        state = {
            "model": self.run.model,
            "parameters": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "schedule": asdict(self.run.schedule),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "tiles": tiles,
            "step": self.progress.step,
            "elapsed": self.progress.elapsed,
            "skipped": self.progress.skipped,
        }
        save_state(self.run.out / STATE, state)

    def step(self, crops: Tensor) -> dict[str, float]:
        """One step of the optimiser, left out where the loss or its gradient is not finite; what to log."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.run.schedule.learning_rate(self.progress.elapsed, self.progress.step + 1)
        loss, figures = self.training.loss(self.model, crops, self.generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        if math.isfinite(float(loss.detach())) and math.isfinite(float(norm)):
            self.optimiser.step()
            self._follow()
        else:
            self.progress.skipped += 1
        return {"loss": float(loss.detach()), **figures, "norm": float(norm)}

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average; early on it averages over fewer steps."""
        decay = min(EMA_DECAY, (1 + self.progress.step) / (10 + self.progress.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)

    @torch.no_grad()
    def validate(self, crops: Tensor) -> dict[str, float]:
        """Loss and figures of the averaged parameters, always at the same rates."""
        loss, figures = self.training.loss(self.average, crops, torch.Generator().manual_seed(0))
        return {f"validation_{key}": value for key, value in {"loss": float(loss), **figures}.items()}
