"""Train one model for a given time: the same loop for every codec, for many images and for one.

What a codec gives is in `protocol.py`. A run's folder holds `state.pt`, everything that is needed to go on,
`log.jsonl`, and pictures of what the model decodes, if its codec shows some (`samples.py`).
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor, nn

from ..errors import CalotypeError, Unsupported
from ..nets.objective import Model
from ..registry import codec_info
from ..runtime.weights import Weights
from .collapse import Watch
from .data import cut_crops, draw_places, draw_side, load_tiles, load_whole, shrink
from .group import Group
from .protocol import Training, codec_training, with_perceptual
from .samples import save_samples
from .schedule import WHOLE, Schedule
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
    data: list[Path] | Tensor
    """Folders or tar archives of images; or the images themselves, bytes (n, 3, h, w) of any size. Those, and what is
    not cut (`WHOLE`), are all trained on and all validated on."""
    out: Path
    """Folder of the run; an unfinished run there is resumed, from pieces too."""
    schedule: Schedule
    device: str = "cpu"
    seed: int = 0
    init: Path | None = None
    """Weights file to start from instead of fresh parameters. A part that it lacks altogether, as a critic, starts
    fresh."""
    perceptual: Path | None = None
    """Folder of the networks of a perceptual loss, for models that have one. None: beside that in CALOTYPE_DATA."""
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


def train(run: Run, report: Callable[[Progress], None] = lambda progress: None) -> Progress:
    """Train until the schedule's time is used up; `report` is called at every line of the log.

    Under `torchrun` each process takes a batch of its own, and gradients are averaged. The last line of the log says
    how well the machine was used (`throughput`), and why steps are no CUDA graphs if on a GPU they could not be.

    A line is marked `collapsed`, with the sign for it, while training cannot lead anywhere; the first time, there is a
    `CalotypeWarning` that says what would help.

    Raises `CalotypeError` if the run's folder holds another model's state, `init` is of another kind, or the data is
    missing, and `Unsupported` if the model does not take crops of that size.
    """
    training, recipe = codec_training(run.model)
    if run.perceptual is not None:
        training = with_perceptual(training, run.perceptual)
    group = Group(run.device)
    try:
        # TensorFloat-32 has too few digits for exact networks: training would see other integers than the export.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            return _Job(run, training, recipe, group).work(report)
    finally:
        group.close()


class _Job(Generic[Model]):
    """A model in training: all that a saved state brings back."""

    def __init__(self, run: Run, training: Training[Model], recipe: str, group: Group):
        """Fresh, warm-started, or resumed where the run's folder holds a state."""
        self.started = time.monotonic()
        self.run, self.training, self.group = run, training, group
        torch.manual_seed(run.seed)
        model = training.build(recipe)
        if run.init is not None:
            _start(model, training.thaw(Weights.open(run.init)), run)
        self.model = model.to(group.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        """Exponential average of the parameters: what is exported."""
        half = group.device.type == "cuda" if run.half is None else run.half
        if half and not training.halve_precision(self.model) and run.half:
            raise CalotypeError(f"nothing of {run.model} computes in bfloat16; leave that out")
        _check_crops(run, training.crop_unit(self.model))
        self.objectives = training.objectives(self.model)
        if run.compile:
            self.objectives = [replace(each, loss=torch.compile(each.loss)) for each in self.objectives]
        self.step = Step(self.objectives, self.model, self.average, group)
        self.generator = torch.Generator().manual_seed(run.seed)
        """Draws crops and rates; on the processor, so that a run repeats on any device."""
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
        self.step.restore(state)
        self.generator.set_state(state["generator"])
        self.progress = Progress(state["step"], state["elapsed"], state["skipped"])

    def work(self, report: Callable[[Progress], None]) -> Progress:
        """Take steps, log, validate and save until the time is up."""
        run, group, progress = self.run, self.group, self.progress
        tiles, held_out = _images(run)
        lossless = codec_info(run.model.partition(".")[0]).lossless
        tiles = tiles.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).to(group.device)  # as crops are gathered
        spread = torch.linspace(0, len(held_out) - 1, min(len(held_out), VALIDATION_TILES)).long()
        held_out = held_out[spread].to(group.device)
        watch = Watch(self.objectives)
        operations, first, clock = 0, progress.step, _Clock(progress.elapsed)
        validated, took = progress.elapsed, 0.0
        with open(run.out / LOG, "a", buffering=1) as log:

            def write(figures: dict[str, Any]) -> None:
                line = {"step": progress.step, "elapsed": round(progress.elapsed, 1), "skipped": progress.skipped}
                log.write(json.dumps(line | figures) + "\n")

            stops = False
            while progress.elapsed < run.schedule.total and not stops:
                crops, rates = self._draw(tiles)
                if progress.step == first:
                    operations = count_operations(partial(self._differentiate, crops, rates))
                    clock.begin()
                learning_rate = run.schedule.learning_rate(progress.elapsed, progress.step + 1)
                self.step(crops, rates, learning_rate, run.schedule.follow(progress.step))
                progress.step += 1
                waits = progress.step % run.log_every == 0
                if waits:
                    progress.figures, progress.skipped = self.step.read()
                progress.elapsed = group.agree(clock.tick())
                if waits and group.leads:
                    sign = watch.look(progress.figures, progress.step, progress.skipped)
                    rounded = {key: round(value, 5) for key, value in progress.figures.items()}
                    write(rounded | ({"collapsed": sign} if sign else {}))
                    report(progress)
                finished = progress.elapsed >= run.schedule.total
                stops = self._must_stop()
                if finished or stops or clock.since_pause > run.save_every:
                    progress.skipped = self.step.read()[1]
                    clock.tick()
                    if group.leads:
                        self.save(tiles=len(tiles))
                        save_samples(self.training, self.average, held_out, run.out, progress.step)
                        if finished or took <= VALIDATION_SHARE * (progress.elapsed - validated):
                            write(validate(self.training, self.average, held_out, lossless))
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
        """Crops and rates of this process, drawn for all."""
        batch, crop = self.run.schedule.crops(self.progress.elapsed)
        count = batch * self.group.size
        crops = self._draw_whole(tiles, count) if crop == WHOLE else self._draw_crops(tiles, count, crop)
        rates = (torch.arange(count) + torch.rand(count, generator=self.generator)) / count
        return crops, self.group.share(rates).to(self.group.device, non_blocking=True)

    def _draw_crops(self, tiles: Tensor, count: int, size: int) -> Tensor:
        side = draw_side(size, min(tiles.shape[2:]), self.run.schedule.rescale, self.generator)
        places = draw_places(count, tiles, side, self.generator)
        return shrink(cut_crops(tiles, self.group.share(places), side), size)

    def _draw_whole(self, images: Tensor, count: int) -> Tensor:
        chosen = torch.randint(len(images), (count,), generator=self.generator)
        return images[self.group.share(chosen).to(images.device)].float() / 255

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

    def _differentiate(self, crops: Tensor, rates: Tensor) -> None:
        """The arithmetic of a step, without its effect."""
        for objective in self.objectives:
            loss, _ = objective.loss(self.model, crops, rates)
            loss.backward(inputs=objective.parameters)  # type: ignore[no-untyped-call]
        self.model.zero_grad()

    def _throughput(self, operations: int, steps: int, clock: _Clock) -> dict[str, Any]:
        achieved = operations * steps / clock.active
        complaint = self.step.complaint
        return ({"not_captured": complaint} if complaint else {}) | {
            "steps_per_second": round(steps / clock.active, 3),
            "tera_operations_per_second": round(achieved / 1e12, 5),
            "of_matrix_product": round(achieved / matrix_product_speed(self.group.device), 5),
            "of_time_in_steps": round(clock.share, 5),
        }


def _start(model: nn.Module, known: nn.Module, run: Run) -> None:
    """Give a model the parameters of another; parts that this one lacks altogether stay as they are.

    Raises `CalotypeError` if they are not of one kind.
    """
    given, fresh = known.state_dict(), model.state_dict()
    parts = {name.partition(".")[0] for name in given}
    kept = {name: value for name, value in fresh.items() if name.partition(".")[0] not in parts}
    try:
        model.load_state_dict(kept | given)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CalotypeError(f"{run.init} cannot be what {run.model} starts from: {reason}") from None


def _check_crops(run: Run, unit: int) -> None:
    """Raise `Unsupported` if crops are not of a size that the model takes."""
    sides = run.schedule.crop, run.schedule.late_crop
    if any(side % unit for side in sides):
        raise Unsupported(f"crops of {sides[0]} and {sides[1]} pixels: {run.model} takes multiples of {unit}")


def _images(run: Run) -> tuple[Tensor, Tensor]:
    """What to train on and what to validate on, bytes (n, 3, h, w). Raises `Unsupported` if crops are larger."""
    schedule = run.schedule
    if isinstance(run.data, Tensor):
        tiles, held_out = run.data, run.data
    elif schedule.crop == WHOLE:
        tiles = held_out = load_whole(run.data)
    else:
        tiles, held_out = load_tiles(run.data)
    smallest = min(tiles.shape[2:])
    if schedule.crop != WHOLE and max(schedule.crop, schedule.late_crop) > smallest:
        raise Unsupported(
            f"crops of {schedule.crop} pixels, late ones of {schedule.late_crop}, do not fit into images of {smallest}"
        )
    return tiles, held_out


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
        """Share of the wall's time that was counted."""
        return self._active / (self._mark - self._began)
