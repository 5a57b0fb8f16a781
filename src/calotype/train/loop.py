"""Train one model for a given time: the same loop for every codec.

A codec's `training.py` gives `build(recipe_name) -> module`, `freeze(module) -> bytes` of a weights file,
`thaw(weights) -> module`, and

    loss(module, crops, numbers) -> (loss, figures)

for crops (b, 3, h, w) in [0, 1] and a number in [0, 1) for each of them, spread evenly over the batch; figures, bpp
and psnr of a lossy codec among them, are scalars to log, and nothing waits for the device. In evaluation mode the loss
is that of rounded latents, always the same for the same pictures; `fixed_numbers(module)` are those it is then
measured at, one per rate. `halve_precision(module)`, if it is there, turns the parts to bfloat16 that stand it. A
run's folder holds `state.pt`, everything that is needed to go on, and `log.jsonl`.
"""

from __future__ import annotations

import copy
import importlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CalotypeError
from ..runtime.weights import Weights
from .data import cut_crops, draw_places, draw_side, load_tiles, shrink
from .group import Group
from .schedule import Schedule
from .state import STATE, has_state, load_state, save_state, split_state
from .step import Step
from .throughput import count_operations, matrix_product_speed
from .validate import validate

VALIDATION_TILES = 48  # at most, spread over what is held out
VALIDATION_SHARE = 0.05  # of the time between two, that a validation may take; the last one may always
LOG = "log.jsonl"


@dataclass(frozen=True)
class Run:
    """What to train, on what, for how long."""

    model: str
    """`codec.recipe`, as in `vae.swift`."""
    data: list[Path]
    """Folders or tar archives of pictures."""
    out: Path
    """Folder of the run; an unfinished run there is resumed, from pieces too."""
    schedule: Schedule
    device: str = "cpu"
    seed: int = 0
    init: Path | None = None
    """Weights file to start from instead of fresh parameters."""
    pieces: Path | None = None
    """Folder that gets a copy of every saved state in pieces of 15 MiB."""
    half: bool | None = None
    """Compute in bfloat16 what stands it. None: on a GPU."""
    compile: bool = False
    """Let torch.compile fuse the loss; takes a minute or more before the first step."""
    save_every: float = 300.0
    """Seconds between saved states."""
    stop_after: float | None = None
    """Seconds on the wall, the start included, after which an unfinished run is saved and left to be resumed."""
    log_every: int = 50
    """Steps between lines of the log, and between waits for the device."""


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


def train(run: Run, report: Callable[[Progress], None] = lambda progress: None) -> Progress:
    """Train until the schedule's time is used up; `report` is called at every line of the log.

    Under `torchrun` each process takes a batch of its own, and gradients are averaged. The last line of the log says
    how well the machine was used (`throughput`), and why steps are no CUDA graphs if on a GPU they could not be.

    Raises `CalotypeError` if the run's folder holds another model's state, or the data is missing.
    """
    training, recipe = codec_training(run.model)
    group = Group(run.device)
    try:
        # TensorFloat-32 has too few digits for exact networks: training would see other integers than the export.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            return _Job(run, training, recipe, group).work(report)
    finally:
        group.close()


class _Job:
    """A model in training: all that a saved state brings back."""

    def __init__(self, run: Run, training: Any, recipe: str, group: Group):
        """Fresh, warm-started, or resumed where the run's folder holds a state."""
        self.started = time.monotonic()
        self.run, self.training, self.group = run, training, group
        torch.manual_seed(run.seed)
        model: nn.Module = training.build(recipe)
        if run.init is not None:
            model.load_state_dict(training.thaw(Weights.open(run.init)).state_dict())
        self.model = model.to(group.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        """Exponential average of the parameters: what is exported."""
        half = group.device.type == "cuda" if run.half is None else run.half
        if half and hasattr(training, "halve_precision"):
            training.halve_precision(self.model)
        loss = torch.compile(training.loss) if run.compile else training.loss
        self.step = Step(loss, self.model, self.average, group)
        self.generator = torch.Generator().manual_seed(run.seed)
        """Of crops and rates; on the processor, so that a run repeats on any device."""
        self.progress = Progress()
        run.out.mkdir(parents=True, exist_ok=True)
        if has_state(run.out):
            self._resume(load_state(run.out / STATE))

    def _resume(self, state: dict[str, Any]) -> None:
        if state["model"] != self.run.model:
            message = f"{self.run.out} holds a run of {state['model']}, not {self.run.model}; choose another folder"
            raise CalotypeError(message)
        self.model.load_state_dict(state["parameters"])
        self.average.load_state_dict(state["average"])
        self.step.restore(state["optimiser"], state["skipped"])
        self.generator.set_state(state["generator"])
        self.progress = Progress(state["step"], state["elapsed"], state["skipped"])

    def work(self, report: Callable[[Progress], None]) -> Progress:
        """Take steps, log, validate and save until the time is up."""
        run, group, progress = self.run, self.group, self.progress
        tiles, held_out = load_tiles(run.data)
        tiles = tiles.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).to(group.device)  # as crops are gathered
        spread = torch.linspace(0, len(held_out) - 1, min(len(held_out), VALIDATION_TILES)).long()
        held_out = held_out[spread].to(group.device)
        operations, first, clock = 0, progress.step, _Clock(progress.elapsed)
        validated, took = progress.elapsed, 0.0
        with open(run.out / LOG, "a", buffering=1) as log:

            def write(figures: dict[str, Any]) -> None:
                line = {"step": progress.step, "elapsed": round(progress.elapsed, 1), "skipped": progress.skipped}
                log.write(json.dumps(line | figures) + "\n")

            stops = False
            while progress.elapsed < run.schedule.total and not stops:
                crops, numbers = self._draw(tiles)
                if progress.step == first:
                    operations = self._operations(crops, numbers)
                    clock.begin()
                rate = run.schedule.learning_rate(progress.elapsed, progress.step + 1)
                self.step(crops, numbers, rate, progress.step)
                progress.step += 1
                waits = progress.step % run.log_every == 0
                if waits:
                    progress.figures, progress.skipped = self.step.read()
                progress.elapsed = group.agree(clock.tick())
                if waits and group.leads:
                    write({key: round(value, 5) for key, value in progress.figures.items()})
                    report(progress)
                finished = progress.elapsed >= run.schedule.total
                stops = self._must_stop()
                if finished or stops or clock.since_pause > run.save_every:
                    progress.skipped = self.step.read()[1]
                    clock.tick()
                    if group.leads:
                        self.save(tiles=len(tiles))
                        if finished or took <= VALIDATION_SHARE * (progress.elapsed - validated):
                            write(validate(self.training, self.average, held_out))
                            validated, took = progress.elapsed, clock.since_tick
                    clock.resume()
            if group.leads and progress.step > first:
                write(self._throughput(operations, progress.step - first, clock))
        return progress

    def _must_stop(self) -> bool:
        """Whether the time is up that this process was given."""
        if self.run.stop_after is None:
            return False
        return self.group.agree(time.monotonic() - self.started) > self.run.stop_after

    def _draw(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Crops and numbers of this process, drawn for all."""
        batch, crop = self.run.schedule.crops(self.progress.elapsed)
        count = batch * self.group.size
        side = draw_side(crop, self.run.schedule.rescale, self.generator)
        places = draw_places(count, len(tiles), side, self.generator)
        numbers = (torch.arange(count) + torch.rand(count, generator=self.generator)) / count
        share = self.group.share(numbers).to(self.group.device, non_blocking=True)
        return shrink(cut_crops(tiles, self.group.share(places), side), crop), share

    def save(self, tiles: int) -> None:
        device = self.group.device
        state = {
            "model": self.run.model,
            "parameters": self.model.state_dict(),
            "average": self.average.state_dict(),
            **self.step.state(),
            "generator": self.generator.get_state(),
            "schedule": asdict(self.run.schedule),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "tiles": tiles,
            "step": self.progress.step,
            "elapsed": self.progress.elapsed,
        }
        save_state(self.run.out / STATE, state)
        if self.run.pieces is not None:
            split_state(self.run.out / STATE, self.run.pieces)

    def _operations(self, crops: Tensor, numbers: Tensor) -> int:
        """Of a step."""
        found = count_operations(lambda: self.training.loss(self.model, crops, numbers)[0].backward())
        self.model.zero_grad()
        return found

    def _throughput(self, operations: int, steps: int, clock: _Clock) -> dict[str, Any]:
        achieved = operations * steps / clock.active
        complaint = self.step.complaint
        return ({"not_captured": complaint} if complaint else {}) | {
            "steps_per_second": round(steps / clock.active, 3),
            "tera_operations_per_second": round(achieved / 1e12, 5),
            "of_matrix_product": round(achieved / matrix_product_speed(self.group.device), 5),
            "of_time_in_steps": round(clock.share, 5),
        }


class _Clock:
    """Seconds of training: those in steps, not those of saving and validating."""

    def __init__(self, before: float):
        self._elapsed, self._active = before, 0.0
        self.begin()

    def begin(self) -> None:
        self._began = self._mark = self._resumed = time.monotonic()

    def tick(self) -> float:
        """Count what went by; all seconds so far, with those of the runs that this one resumed."""
        now = time.monotonic()
        self._active += now - self._mark
        self._elapsed += now - self._mark
        self._mark = now
        return self._elapsed

    def resume(self) -> None:
        """What went by since the last tick was a pause."""
        self._mark = self._resumed = time.monotonic()

    @property
    def since_pause(self) -> float:
        return self._mark - self._resumed

    @property
    def since_tick(self) -> float:
        return time.monotonic() - self._mark

    @property
    def active(self) -> float:
        return self._active

    @property
    def share(self) -> float:
        """Of the wall's time that was counted."""
        return self._active / (self._mark - self._began)
