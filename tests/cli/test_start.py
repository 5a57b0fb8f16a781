"""What a start of the command line must not import. How long it takes: `tests/benchmarks/bench_start.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import calotype

PLUGIN = "deflate.coarse"
WATCH = """
import json, sys
from calotype.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
    print(json.dumps(sorted(sys.modules)))
"""
NEVER = {"torch", "scipy", "onnx", "multiprocessing", "calotype.cli.processes"}
NO_THREADS = {"concurrent.futures.thread"}
NO_NETWORK = {"onnxruntime"}
NO_PLUGIN = {"importlib.metadata"}  # which looks through all that is installed
NO_IMAGE = {"numpy", "PIL", "cffi", "rich", "calotype.api", "calotype.registry"} | NO_NETWORK | NO_PLUGIN | NO_THREADS


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    calotype.write(tmp_path / "photo.png", photo)
    calotype.write(tmp_path / "lossy.calo", photo)
    calotype.write(tmp_path / "lossless.calo", photo, lossless=True)
    calotype.write(tmp_path / "plugin.calo", photo, model=PLUGIN)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ("--help", NO_IMAGE),
        ("--version", NO_IMAGE),
        ("encode --help", NO_IMAGE),
        ("encode photo.png", NO_PLUGIN),
        ("encode photo.png --lossless", NO_PLUGIN | NO_NETWORK),
        ("encode photo.png -m deflate.coarse", NO_NETWORK | NO_THREADS),
        ("decode lossy.calo -o new.png", NO_PLUGIN | NO_THREADS),
        ("decode lossless.calo -o new.png", NO_PLUGIN | NO_NETWORK),
        ("decode plugin.calo -o new.png", NO_NETWORK | NO_THREADS),
    ],
)
def test_a_start_imports_little(folder: Path, arguments: str, others: set[str]) -> None:
    watched = [sys.executable, "-c", WATCH, *arguments.split()]
    done = subprocess.run(watched, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "calotype.cli.app" in loaded
    assert loaded & (NEVER | others) == set()


def test_nothing_is_left_in_the_home_folder(folder: Path, tmp_path: Path) -> None:
    """ONNX Runtime would leave a device id and a queue of events there; and warn where there is no home."""
    home = tmp_path / "home"
    home.mkdir()
    plain = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    for environment in (plain | {"HOME": str(home)}, plain):
        for arguments in (
            ["encode", "photo.png", "-o", "again.calo", "-f"],
            ["decode", "lossy.calo", "-o", "again.png", "-f"],
            ["models", "--json"],
        ):
            command = [sys.executable, "-m", "calotype", *arguments]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            assert len(done.stderr.splitlines()) <= 1  # what was made
            assert "\x1b" not in done.stderr
    assert list(home.iterdir()) == []
