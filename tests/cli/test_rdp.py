"""`calotype rdp`, as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calotype.rdp import bernoulli


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calotype", "rdp", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_a_point(tmp_path: Path) -> None:
    done = run("--source", "0.3,0.7", "-D", 0.2, "-P", 0.05, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names, figures = (line.split() for line in done.stdout.splitlines())
    assert names == ["max_distortion", "max_perception", "rate", "distortion", "perception"]
    expected = [0.2, 0.05, bernoulli(0.3, 0.2, 0.05), 0.2, 0.05]
    assert [float(figure) for figure in figures] == pytest.approx(expected, abs=1e-5)


def test_json_and_a_matrix_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("0,1,2\n1,0,1\n2,1,0\n")
    common = ("--source", "0.5,0.3,0.2", "-D", "0.2,0.4", "-P", "0,inf", "--perception", "wasserstein", "--json")
    first = run(*common, "--distortion", "d.csv", cwd=tmp_path)
    second = run(*common, "--distortion", "absolute", cwd=tmp_path)
    assert first.stdout == second.stdout
    records = [json.loads(line) for line in first.stdout.splitlines()]
    assert [(record["max_distortion"], record["max_perception"]) for record in records] == [
        (0.2, 0),
        (0.2, None),
        (0.4, 0),
        (0.4, None),
    ]
    for record in records:
        channel = np.array(record["channel"])
        np.testing.assert_allclose(channel.sum(axis=1), 1)
        assert record["lower"] <= record["rate"] <= record["lower"] + 1e-6
    assert records[0]["rate"] > records[1]["rate"]


def test_a_table_and_a_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("--source", "0.1,0.9", "-D", "0,0.05,0.1,0.15", "-o", "new/folder", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "new/folder/points.json").read_text())
    assert len(records) == 4 * 9
    for record in records:
        p = record["max_perception"]
        rate = bernoulli(0.1, record["max_distortion"], np.inf if p is None else p)
        assert record["rate"] == pytest.approx(rate, abs=1e-6)
    assert (tmp_path / "new/folder/surface.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_digits(tmp_path: Path) -> None:
    for package in ("torch", "sklearn", "matplotlib"):
        pytest.importorskip(package)
    done = run("--digits", "--steps", 2, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "out/digits.json").read_text())
    assert [(record["bits"], record["weight"]) for record in records[:5]] == [(2, 0), (2, 1), (2, 3), (2, 10), (4, 0)]
    assert (tmp_path / "out/digits.png").read_bytes().startswith(b"\x89PNG")
    assert len(done.stdout.splitlines()) == len(records) + 1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "--source"),
        (("--source", "0.5,0.5", "--digits"), 2, "--source"),
        (("--source", "0.5,x"), 2, "not a list of numbers"),
        (("--source", "0.5,0.5", "--distortion", "nothing.csv"), 2, "CSV file"),
        (("--source", "0.5,0.6"), 1, "sum 1.1"),
        (("--source", "0.5,0.5", "-D", "-1"), 1, "no channel has a distortion below 0"),
    ],
)
def test_what_is_refused(tmp_path: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
