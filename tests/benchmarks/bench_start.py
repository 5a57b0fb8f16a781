"""Seconds from the start of the command line to its end: its help, and one small file there and back.

    pytest tests/benchmarks/bench_start.py --benchmark-columns=min,median

What a start must not import is a test: `tests/cli/test_start.py`. Not part of the test suite; `make bench` runs it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import calotype

PROGRAM = [sys.executable, "-c", "from calotype.cli.app import main; main()"]
VERBS = {
    "help": "--help",
    "encode lossy": "encode photo.png -o new.calo -f",
    "encode lossless": "encode photo.png -o new.calo -f --lossless",
    "decode lossy": "decode lossy.calo -o new.png -f",
    "decode lossless": "decode lossless.calo -o new.png -f",
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.benchmark(group="start", min_rounds=9)
def test_start(benchmark: BenchmarkFixture, tmp_path: Path, photo: np.ndarray, verb: str) -> None:
    calotype.write(tmp_path / "photo.png", photo)
    calotype.write(tmp_path / "lossy.calo", photo)
    calotype.write(tmp_path / "lossless.calo", photo, lossless=True)
    done = benchmark(lambda: subprocess.run([*PROGRAM, *VERBS[verb].split()], cwd=tmp_path, capture_output=True))
    assert done.returncode == 0, done.stderr
