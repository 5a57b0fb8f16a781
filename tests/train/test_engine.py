"""The engine: crops of all kinds, steps that compare, states in pieces, several processes as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from calotype.codecs.vae import training
from calotype.errors import CalotypeError, Unsupported
from calotype.nets.residual import Block
from calotype.train.data import TILE, cut_crops, draw_places, draw_side, shrink
from calotype.train.group import Group
from calotype.train.loop import Run, train
from calotype.train.schedule import Schedule
from calotype.train.state import STATE, has_state, load_state, save_state, split_state
from calotype.train.step import Step
from calotype.train.throughput import count_operations, matrix_product_speed
from calotype.train.validate import AT_ONCE, validate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(3):
        noise = np.random.default_rng(seed).integers(0, 256, (TILE // 16, TILE // 16, 3), dtype=np.uint8)
        Pillow.fromarray(noise).resize((TILE, TILE), Pillow.Resampling.BICUBIC).save(folder / f"{seed}.png")
    return folder


def test_crops_lie_where_they_were_drawn() -> None:
    tiles = torch.randint(256, (2, 3, TILE, TILE), dtype=torch.uint8)
    places = torch.tensor([[0, 5, 9, 0, 0, 0], [1, 5, 9, 1, 0, 0], [1, 0, 300, 0, 1, 0], [0, 7, 7, 0, 0, 1]])
    crops = cut_crops(tiles, places, 64)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    cut = [tiles[0, :, 5:69, 9:73], tiles[1, :, 5:69, 9:73].flip(1), tiles[1, :, :64, 300:364].flip(2),
           tiles[0, :, 7:71, 7:71].transpose(1, 2)]  # fmt: skip
    torch.testing.assert_close(crops, torch.stack(cut).float() / 255)
    drawn = draw_places(1000, 7, 64, torch.Generator().manual_seed(0))
    assert drawn.amin(0).tolist() == [0, 0, 0, 0, 0, 0]
    highest = drawn.amax(0)
    assert highest[0] == 6
    assert ((highest[1:3] > TILE - 80) & (highest[1:3] <= TILE - 64)).all()
    assert highest[3:].tolist() == [1, 1, 1]


def test_some_batches_are_cut_larger_and_shrunk() -> None:
    generator = torch.Generator().manual_seed(0)
    sides = [draw_side(256, 0.7, generator) for _ in range(1000)]
    assert 400 < sides.count(256) < 600
    assert 360 < max(sides) <= round(256 / 0.7)
    assert max(draw_side(384, 0.5, generator) for _ in range(200)) <= TILE  # no tile has more
    assert {draw_side(256, 1.0, generator) for _ in range(200)} == {256}
    with pytest.raises(Unsupported, match="factor"):
        Schedule(1.0, rescale=1.2)

    waves = torch.linspace(0, 40, 96).sin()[None, None, None, :].expand(2, 3, 96, 96) * 0.4 + 0.5
    small = shrink(waves, 64)
    assert small.is_contiguous(memory_format=torch.channels_last)
    middle = (torch.arange(64) + 0.5) * 96 / 64 - 0.5  # of the small picture's pixels in the large one
    expected = (middle * 40 / 95).sin() * 0.4 + 0.5
    torch.testing.assert_close(small[0, 0, 32, 4:-4], expected[4:-4], atol=0.02, rtol=0)
    stripes = (torch.arange(96) % 2).float()[None, None, None, :].expand(2, 3, 96, 96)
    assert (shrink(stripes, 48)[..., 4:-4] - 0.5).abs().max() < 0.05  # finer than what is left: grey, not a pattern
    assert shrink(waves, 96) is waves


def test_late_crops_are_large_where_the_batch_allows() -> None:
    assert Schedule(100.0, batch=3).late_crop == 256  # as one processor has it: one crop would be one rate a step
    assert Schedule(100.0, batch=16).late_crop == 384
    gpu = Schedule(100.0, batch=32)
    assert [gpu.crops(t) for t in (0.0, 84.9, 85.1, 100.0)] == [(32, 256), (32, 256), (8, 512), (8, 512)]
    assert Schedule(100.0, batch=32, late_crop=384).crops(90.0) == (14, 384)


class Rated(torch.nn.Module):
    """Stands for a codec's training and its model: figures that one can work out."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, bool]] = []

    def fixed_numbers(self, model: torch.nn.Module) -> tuple[float, ...]:
        return 0.25, 0.75

    def loss(
        self, model: torch.nn.Module, x: torch.Tensor, numbers: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        self.seen.append((len(x), torch.is_grad_enabled()))
        bpp = x.mean() + numbers.mean()
        return 2 * bpp, {"bpp": bpp, "psnr": 30 + 10 * bpp}


def test_validation_gives_a_curve_over_all_tiles() -> None:
    tiles = torch.full((2 * AT_ONCE + 1, 3, 8, 8), 51, dtype=torch.uint8)
    tiles[-1] = 102
    mean = (0.2 * 2 * AT_ONCE + 0.4) / len(tiles)
    rated = Rated()
    found = validate(rated, rated, tiles)
    expected = [[mean + number, 30 + 10 * (mean + number)] for number in (0.25, 0.75)]
    np.testing.assert_allclose(found["validation_curve"], expected, atol=2e-4)
    assert found["validation_loss"] == pytest.approx(2 * (mean + 0.5), abs=1e-4)
    assert rated.seen == [(AT_ONCE, False), (AT_ONCE, False), (1, False)] * 2


def test_a_model_in_evaluation_is_measured_without_chance() -> None:
    for recipe in ("swift", "factorized"):
        model = training.build(recipe)
        crops, numbers = torch.rand(1, 3, 64, 64), torch.tensor([0.5])
        with torch.no_grad():
            # The noise moves the rate of a new model by little; two draws may round to one float.
            assert len({float(training.loss(model, crops, numbers)[0]) for _ in range(8)}) > 1
            model.eval()
            assert len({float(training.loss(model, crops, numbers)[0]) for _ in range(2)}) == 1


class Line(torch.nn.Module):
    """A model whose loss one can work out: (w - mean of the crops)^2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([1.0]))


def line_loss(model: Line, crops: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    loss = ((model.w - crops.mean((1, 2, 3))) ** 2).mean()
    return loss, {"w": model.w.detach()[0], "numbers": numbers.mean()}


def test_a_step_is_adamw_and_the_average_follows() -> None:
    model, average, plain = Line(), Line(), Line()
    step = Step(line_loss, model, average, Group("cpu"))
    reference = torch.optim.AdamW(plain.parameters(), lr=0.1, betas=(0.9, 0.98), weight_decay=0.0)
    followed, losses = 1.0, []
    for k in range(5):
        crops = torch.full((2, 3, 4, 4), 0.1 * k)
        step(crops, torch.tensor([0.25, 0.75]), 0.1, k)
        reference.zero_grad()
        loss, _ = line_loss(plain, crops, torch.zeros(2))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        reference.step()
        losses.append(float(loss.detach()))
        decay = (1 + k) / (50 + k)
        followed = decay * followed + (1 - decay) * float(plain.w.detach())
    torch.testing.assert_close(model.w, plain.w)
    assert float(average.w) == pytest.approx(followed, rel=1e-5)
    figures, skipped = step.read()
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert figures["numbers"] == 0.5
    assert skipped == 0
    assert step.read()[0]["loss"] == 0  # nothing since


def test_a_step_without_a_finite_gradient_moves_nothing() -> None:
    model = Line()
    step = Step(line_loss, model, Line(), Group("cpu"))
    good, bad = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), torch.nan)
    step(good, torch.zeros(2), 0.1, 0)
    before = float(model.w)
    step(bad, torch.zeros(2), 0.1, 1)
    assert float(model.w) == before
    step(good, torch.zeros(2), 0.1, 2)
    assert float(model.w) < before
    figures, skipped = step.read()
    assert skipped == 1
    assert np.isfinite(figures["loss"])


def test_a_step_goes_on_from_its_state_and_from_older_ones() -> None:
    crops = torch.zeros(2, 3, 4, 4)
    first, model = Line(), Line()
    step = Step(line_loss, first, Line(), Group("cpu"))
    for k in range(3):
        step(crops, torch.zeros(2), 0.1, k)
    state = step.state()
    older = state["optimiser"]
    older["param_groups"][0] |= {"fused": None, "lr": 0.3}  # type: ignore[index]
    again = Step(line_loss, model, Line(), Group("cpu"))
    model.load_state_dict(first.state_dict())
    again.restore(older, 4)  # type: ignore[arg-type]
    for one in (step, again):
        one(crops, torch.zeros(2), 0.05, 3)
    torch.testing.assert_close(model.w, first.w)
    assert again.read()[1] == 4


class Uploads(TorchDispatchMode):
    """Operations that would need the processor's memory, or an answer from the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if any(tensor.device.type == "cpu" for tensor in tensors) or "_local_scalar" in str(operation):
            self.found.add(str(operation))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", ["factorized", "hyperprior", "mean-scale", "swift"])
def test_nothing_in_a_step_waits_for_the_processor(recipe: str) -> None:
    """As a CUDA graph demands; on a device that computes nothing, so that it needs no GPU."""
    model = training.build(recipe).to("meta")
    crops, numbers = torch.rand(2, 3, 64, 64, device="meta"), torch.rand(2, device="meta")
    with Uploads() as uploads:
        loss, _ = training.loss(model, crops, numbers)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert uploads.found == set()
    with Uploads() as uploads:  # so that this can fail
        crops[:, np.arange(2)]
    assert uploads.found


def test_half_precision_is_close_and_not_for_all() -> None:
    torch.manual_seed(0)
    model = training.build("swift")
    for block in (module for module in model.modules() if isinstance(module, Block)):
        for parameter in block.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    crops, numbers = torch.rand(2, 3, 64, 64), torch.tensor([0.2, 0.7])
    seen = []
    model.synthesis.blocks[0].mixer[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    model.synthesis.head[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    model.hyper_analysis.register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    model.hyper_analysis.layers[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    torch.manual_seed(1)
    exact, _ = training.loss(model, crops, numbers)
    training.halve_precision(model)
    torch.manual_seed(1)
    halved, _ = training.loss(model, crops, numbers)
    halved.backward()
    assert seen[:4] == [torch.float32] * 4
    inner, hyper, block, head = seen[4:]
    assert (inner, block) == (torch.bfloat16, torch.bfloat16)
    assert (hyper, head) == (torch.float32, torch.float32)
    assert float(halved.detach()) == pytest.approx(float(exact.detach()), rel=0.03)  # bfloat16 has 8 bits
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters() if parameter.grad is not None)


def test_states_travel_in_pieces(tmp_path: Path) -> None:
    state = {"parameters": {"w": torch.arange(10_000.0)}, "step": 3}
    save_state(tmp_path / STATE, state)
    pieces = split_state(tmp_path / STATE, tmp_path / "pieces", 15_000)
    assert len(pieces) == 3
    assert all(piece.stat().st_size <= 15_000 for piece in pieces)
    assert has_state(tmp_path / "pieces")
    again = load_state(tmp_path / "pieces" / STATE)
    assert again["step"] == 3
    torch.testing.assert_close(again["parameters"]["w"], state["parameters"]["w"])
    assert len(split_state(tmp_path / STATE, tmp_path / "pieces", 30_000)) == 2  # and no old piece is left
    assert load_state(tmp_path / "pieces" / STATE)["step"] == 3
    pieces[1].unlink()
    with pytest.raises(CalotypeError, match="not a saved training state"):
        load_state(tmp_path / "pieces" / STATE)
    assert not has_state(tmp_path / "nothing")


def test_a_run_goes_on_from_pieces(data: Path, tmp_path: Path) -> None:
    schedule = Schedule(1.0, batch=1, crop=64, late_crop=64)
    train(Run("vae.factorized", [data], tmp_path / "run", schedule, pieces=tmp_path / "pieces"))
    done = load_state(tmp_path / "pieces" / STATE)
    longer = Schedule(done["elapsed"] + 1, batch=1, crop=64, late_crop=64)
    progress = train(Run("vae.factorized", [data], tmp_path / "pieces", longer))
    assert progress.step > done["step"]


def test_a_run_stops_in_time_and_goes_on_when_repeated(data: Path, tmp_path: Path) -> None:
    schedule = Schedule(120.0, batch=1, crop=64, late_crop=64)
    run = Run("vae.swift", [data], tmp_path, schedule, stop_after=2.0)
    progress = train(run)
    assert 0 < progress.elapsed < schedule.total
    assert load_state(tmp_path / STATE)["step"] == progress.step
    shorter = replace(schedule, total=progress.elapsed + 1)
    again = train(replace(run, schedule=shorter, stop_after=None))
    assert again.step > progress.step
    assert again.elapsed >= shorter.total
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    curves = [line["validation_curve"] for line in log if "validation_curve" in line]
    assert len(curves) == 2
    assert all(len(curve) == 5 and sorted(curve) == curve for curve in curves)


def test_operations_are_counted() -> None:
    layer = torch.nn.Conv2d(4, 8, 3, padding=1)
    x = torch.rand(2, 4, 10, 12, requires_grad=True)
    forward = 2 * 2 * 8 * 4 * 9 * 10 * 12
    assert count_operations(lambda: layer(x)) == forward
    assert count_operations(lambda: layer(x).sum().backward()) == 3 * forward
    assert matrix_product_speed(torch.device("cpu")) > 1e9


STEPS = 4


def _train_in_processes(
    out: Path, data: Path, batch: int, processes: int
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Gradient of the first step, and parameters after some, of the leader."""
    code = f"""
from pathlib import Path
import torch
from calotype.codecs.vae import training
from calotype.train.data import load_tiles
from calotype.train.group import Group
from calotype.train.loop import Run, _Job
from calotype.train.schedule import Schedule
training._noise = lambda x: x * 0  # each process has its own; what is compared here is all else
torch.set_num_threads(1)
group = Group("cpu")
run = Run("vae.swift", [Path({str(data)!r})], Path({str(out)!r}), Schedule(600.0, batch={batch}, crop=64, late_crop=64))
job = _Job(run, training, "swift", group)
tiles, _ = load_tiles(run.data)
gradient = []
for step in range({STEPS}):
    job.step(*job._draw(tiles), 1e-4, step)
    gradient = gradient or [p.grad.clone() for p in job.model.parameters() if p.grad is not None]
if group.leads:
    torch.save((gradient, [p.detach() for p in job.model.parameters()]), run.out / "result.pt")
group.close()
"""
    out.mkdir()
    script = out / "script.py"
    script.write_text(code)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return torch.load(out / "result.pt")  # type: ignore[no-any-return]


def _apart(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    """Length of the difference over that of a."""
    flat = [torch.cat([part.flatten() for part in parts]) for parts in (a, b)]
    return float((flat[0] - flat[1]).norm() / flat[0].norm())


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_batch(data: Path, tmp_path: Path) -> None:
    alone, together = (_train_in_processes(tmp_path / str(n), data, 4 // n, n) for n in (1, 2))
    half, _ = _train_in_processes(tmp_path / "half", data, 2, 1)
    assert _apart(alone[0], together[0]) < 1e-3  # sums in another order
    assert _apart(alone[0], half) > 0.1  # so that this is no matter of course
    start = [p.detach() for p in _fresh().parameters()]
    moved = [[p - q for p, q in zip(parts, start, strict=True)] for parts in (alone[1], together[1])]
    assert _apart(*moved) < 0.05  # AdamW makes much of gradients that are nearly zero


def _fresh() -> torch.nn.Module:
    torch.manual_seed(0)
    return training.build("swift")  # type: ignore[no-any-return]
