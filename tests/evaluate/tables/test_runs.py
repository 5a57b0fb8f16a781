"""Logs of training runs: what is read, said and drawn."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from calotype.errors import CalotypeError
from calotype.evaluate.report.plot import _smooth, plot_runs
from calotype.evaluate.tables.runs import LOG, read_log, table

CURVE = [[0.25, 29.0], [0.5, 32.0], [0.9, 35.0], [1.5, 38.0]]


def write_run(folder: Path, factor: float, curve: bool = True) -> Path:
    """A run of ten minutes whose last curve needs `factor` times the bits of `CURVE`."""
    folder.mkdir()
    lines: list[dict[str, object]] = []
    for k in range(1, 201):
        lines.append({"step": 50 * k, "elapsed": 3.0 * k, "loss": math.exp(5 - k), "bpp": 1.0})
        if k in (100, 200):
            validation = {"step": 50 * k, "elapsed": 3.0 * k, "validation_loss": 60.0 / k}
            points = [[bpp * factor * 200 / k, psnr] for bpp, psnr in CURVE]
            lines.append(validation | ({"validation_curve": points} if curve else {}))
    (folder / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_log_is_read(tmp_path: Path) -> None:
    log = read_log(write_run(tmp_path / "one", 1.0))
    assert (log.name, log.steps, log.minutes) == ("one", 10_000, 10.0)
    assert len(log.losses) == 200
    assert log.losses[1] == (0.1, math.exp(3))
    assert log.validations == [(5.0, 0.6), (10.0, 0.3)]
    assert log.curve == [tuple(point) for point in CURVE]  # of the end


def test_what_a_kill_lost_is_not_counted_twice(tmp_path: Path) -> None:
    lines = [{"step": step, "elapsed": float(step), "loss": float(step)} for step in (50, 100, 150)]
    again = [{"step": step, "elapsed": step + 1.0, "loss": 0.5} for step in (100, 150)]
    text = "\n".join(map(json.dumps, lines)) + '\n{"step": 200, "ela\n' + "\n".join(map(json.dumps, again))
    (tmp_path / LOG).write_text(text)
    assert [loss for _, loss in read_log(tmp_path).losses] == [50.0, 0.5, 0.5]


def test_folders_without_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match="training run"):
        read_log(tmp_path)
    (tmp_path / LOG).write_text("nothing\n")
    with pytest.raises(CalotypeError, match="no step"):
        read_log(tmp_path)


def test_runs_are_compared_with_the_first(tmp_path: Path) -> None:
    logs = [
        read_log(write_run(tmp_path / name, factor, curve))
        for name, factor, curve in (("old", 1.0, True), ("new", 0.93, True), ("older", 1.0, False))
    ]
    head, *rows = [line.split() for line in table(logs).splitlines()]
    assert head[0] == "run"
    assert rows[0] == ["old", "10000", "10.0", "0.3000", "0"]
    assert rows[1] == ["new", "10000", "10.0", "0.3000", "-7.00", "%"]
    assert rows[2][-1] == "-"


def test_runs_are_drawn(tmp_path: Path) -> None:
    logs = [read_log(write_run(tmp_path / name, factor)) for name, factor in (("old", 1.0), ("new", 0.9))]
    for path in (tmp_path / "a.svg", tmp_path / "b.svg"):
        plot_runs(logs, path)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.svg").stat().st_size > 10_000
    plot_runs(logs[:1], tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_smoothing_keeps_length_and_level() -> None:
    line = [(float(k), float(k % 2)) for k in range(1000)]
    smooth = _smooth(line)
    assert [minutes for minutes, _ in smooth] == [minutes for minutes, _ in line]
    assert all(0.45 < loss < 0.55 for _, loss in smooth[10:-10])


def test_command_line(tmp_path: Path) -> None:
    runs = [str(write_run(tmp_path / name, factor)) for name, factor in (("old", 1.0), ("new", 0.9))]
    command = [sys.executable, "-m", "calotype", "curves", *runs]
    done = subprocess.run([*command, "-o", str(tmp_path / "x.svg")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "-10.00 %" in done.stdout
    assert "<svg" in (tmp_path / "x.svg").read_text()
    wrong = subprocess.run([*command, "-o", str(tmp_path / "x.gif")], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert ".svg" in wrong.stderr
    nothing = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert nothing.returncode == 1
    assert "training run" in nothing.stderr
