"""Folders on several processes: the same files and words as on one, and nothing left of those that are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from calotype.cli.batch import share
from calotype.cli.encode import _Encode
from calotype.cli.jobs import Job, Made
from calotype.cli.processes import Child
from calotype.errors import CalotypeError
from calotype.options import EncodeOptions
from calotype.parallel import ON_A_GPU, cores

MODEL = "deflate.coarse"
PROGRAM = [sys.executable, "-c", "from calotype.cli.app import main; main()"]
FAULT, FAULTY = "CALOTYPE_TESTING_FAULT", "55"  # see tests/plugin
SOON = 300.0  # seconds, for the busiest machine; a job that hangs takes an hour
NAMES = [f"{letter}.png" for letter in "abcdefg"]

ENCODE = _Encode(
    model=MODEL,
    device=None,
    options=EncodeOptions(quality=100, threads=1),
    view_rows=0,
    strip=False,
    max_pixels=10**6,
    force=False,
)


@pytest.fixture
def folder(tmp_path: Path, texture: Callable[..., np.ndarray]) -> Path:
    """A folder with seven images in `in`."""
    (tmp_path / "in").mkdir()
    for place, name in enumerate(NAMES):
        Pillow.fromarray(texture(9 + place, 12, 3, place)).save(tmp_path / "in" / name)
    return tmp_path


def calotype(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=SOON
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def test_several_processes_do_what_one_does(folder: Path) -> None:
    (folder / "in" / "c.png").write_bytes(b"broken")
    said = {}
    for jobs in ("1", "2", "3"):
        coded = calotype(folder, "encode", "in", "-o", f"out{jobs}", "-j", jobs, "-m", MODEL, "--json")
        decoded = calotype(folder, "decode", f"out{jobs}", "-o", f"back{jobs}", "-j", jobs)
        assert (coded.returncode, decoded.returncode) == (1, 0)
        assert decoded.stderr.startswith("6 done, 0 failed: ")
        said[jobs] = [json.loads(line) for line in coded.stdout.splitlines()]
        assert [Path(record["input"]).name for record in said[jobs]] == NAMES
        assert [record.get("bytes") for record in said[jobs]] == [record.get("bytes") for record in said["1"]]
        assert "error" in said[jobs][2]
        assert "in/c.png" in coded.stderr
        assert contents(folder / f"out{jobs}") == contents(folder / "out1")
        assert contents(folder / f"back{jobs}") == contents(folder / "back1")
    assert sorted(contents(folder / "out1")) == [name.replace("png", "calo") for name in NAMES if name != "c.png"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_cut_run_goes_on(folder: Path, jobs: str) -> None:
    assert calotype(folder, "encode", "in/a.png", "in/b.png", "-o", "out", "-m", MODEL).returncode == 0
    (folder / "out" / "a.calo").write_bytes(b"mine")
    arguments = ["encode", "in", "-o", "out", "-m", MODEL, "-j", jobs]
    refused = calotype(folder, *arguments)
    assert refused.returncode == 1
    assert "out/a.calo exists; add -f to overwrite it, or -n to skip it" in refused.stderr
    assert "5 done, 2 failed" in refused.stderr
    for name in "cd":
        (folder / "out" / f"{name}.calo").unlink()
    gone_on = calotype(folder, *arguments, "-n")
    assert gone_on.returncode == 0
    assert gone_on.stderr.startswith("2 done, 5 skipped, 0 failed: ")
    assert (folder / "out" / "a.calo").read_bytes() == b"mine"
    records = [json.loads(line) for line in calotype(folder, *arguments, "-n", "--json").stdout.splitlines()]
    assert records[0] == {"input": "in/a.png", "output": "out/a.calo", "skipped": True}
    assert [record["skipped"] for record in records] == [True] * 7
    one = calotype(folder, "encode", "in/a.png", "-o", "out", "-n", "-m", MODEL)
    assert (one.returncode, one.stderr) == (0, "in/a.png: skipped, out/a.calo exists\n")
    both = calotype(folder, "encode", "in", "-o", "out", "-n", "-f", "-m", MODEL)
    assert (both.returncode, len(both.stderr.splitlines())) == (2, 1)


def test_a_wrong_model_or_device_is_one_error(folder: Path) -> None:
    for words, said in (
        (["-m", "vae.nonsense"], "nonsense"),
        (["-m", MODEL, "--device", "nonsense"], "nonsense"),
        (["-m", "vae.swift", "--lossless"], "vae.swift is not lossless"),
    ):
        done = calotype(folder, "encode", "in", "-o", "out", *words)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert said in done.stderr


def test_a_device_is_handed_on(folder: Path) -> None:
    pytest.importorskip("torch")
    there = calotype(
        folder, "encode", "in/a.png", "in/b.png", "-o", "out", "-q", "50", "-m", "vae.swift", "--device", "cpu"
    )
    assert there.returncode == 0, there.stderr
    assert calotype(folder, "decode", "out/a.calo", "-o", "a.png", "--device", "cpu").returncode == 0
    assert Pillow.open(folder / "a.png").size == (12, 9)


def test_a_process_that_dies_costs_its_image(folder: Path) -> None:
    done = calotype(folder, "encode", "in", "-o", "out", "-j", "2", "-m", MODEL, "-q", FAULTY, **{FAULT: "die"})
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert sum("in/a.png: the process that worked on it died (SIGABRT)" in line for line in lines) == 1
    assert any(line.startswith("0 done, 7 failed: ") for line in lines)
    assert contents(folder / "out") == {}


def test_a_mistake_of_a_plug_in_costs_its_image(folder: Path) -> None:
    arguments = ["encode", "in", "-o", "out", "-j", "2", "-m", MODEL, "-q", FAULTY]
    done = calotype(folder, *arguments, **{FAULT: "raise"})
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    assert len(lines) == 7
    assert "in/a.png: a mistake in the model deflate.coarse of " in lines[0]
    assert "ZeroDivisionError('as was asked for')" in lines[0]
    assert last.startswith("0 done, 7 failed: ")
    shown = calotype(folder, *arguments, **{FAULT: "raise", "CALOTYPE_DEBUG": "1"}).stderr
    assert "calotype_testing/codec.py" in shown  # the traceback from the other process


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for children in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_all_at_once(folder: Path, number: int) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "encode", "in", "-o", "out", "-j", "2", "-m", MODEL, "-q", FAULTY],
        cwd=folder,
        env=os.environ | {FAULT: "hang"},
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: len(children(process.pid)) == 2)
    workers = children(process.pid)
    time.sleep(0.5)  # they may even have begun
    process.send_signal(number)
    _, said = process.communicate(timeout=SOON)
    assert (process.returncode, said) == (128 + number, b"calotype: interrupted\n")
    wait_for(lambda: not any(map(alive, workers)))
    assert contents(folder / "out") == {}


def test_a_process_ends_without_its_parent(folder: Path) -> None:
    child = Child(ENCODE)
    made = child.ask(Job(str(folder / "in" / "a.png"), "a.calo"))
    assert isinstance(made, Made)
    ((path, data),) = made.files
    assert (path, len(data)) == ("a.calo", made.record["bytes"])
    assert child._process.stdin is not None
    child._process.stdin.close()
    assert child._process.wait(SOON) == 0


def test_errors_arrive_as_they_were(folder: Path) -> None:
    child = Child(ENCODE)
    (folder / "broken.png").write_bytes(b"broken")
    error = child.ask(Job(str(folder / "broken.png"), "a.calo"))
    assert isinstance(error, CalotypeError)
    missing = child.ask(Job(str(folder / "missing.png"), "a.calo"))
    assert isinstance(missing, FileNotFoundError)
    assert missing.filename.endswith("missing.png")
    child.close()
    with pytest.raises(CalotypeError, match="SIGKILL"):
        child.ask(Job("in/a.png", "a.calo"))


def test_the_machine_is_divided() -> None:
    assert share(0, 0, None, 1) == (1, 0)
    assert share(1, 3, None, 9) == (1, 3)
    assert share(5, 0, None, 9) == (5, 1)
    assert share(5, 2, None, 3) == (3, 2)
    machine = partial(share, device=None, count=10**6)
    assert machine(0, cores()) == (1, cores())
    if cores() > 1:
        assert machine(0, 0) == (cores(), 1)
    assert share(0, 0, "cuda:0", 10**6)[0] == min(cores(), ON_A_GPU)


def children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
