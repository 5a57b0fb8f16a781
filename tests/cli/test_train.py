"""`calotype train` and `calotype export`, as commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import calotype

TINY = "deflate.tiny"  # the plug-in's


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles."""
    folder = tmp_path_factory.mktemp("tiles")
    noise = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).resize((1024, 512), PIL.Image.Resampling.BICUBIC).save(folder / "noise.png")
    return folder


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "calotype", *command], capture_output=True, text=True)


def test_a_model_is_trained_and_exported(tiles: Path, tmp_path: Path) -> None:
    out, weights = tmp_path / "run", tmp_path / "weights"
    size = ["--crop", "64", "--late-crop", "64", "--batch", "2", "-T", "1"]
    command = ["train", TINY, "--data", str(tiles), "--out", str(out), "--time", "1s", "--anneal", "0.5", *size]
    done = run(*command)
    assert done.returncode == 0, done.stderr
    weights.mkdir()
    (weights / "tiny.toml").write_text('description = "Learned."\n')
    exported = run("export", str(out), "-o", str(weights))
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.split() == [str(weights / "tiny.calow")]
    assert "schedule_anneal = 0.5" in (weights / "tiny.toml").read_text()
    photo = np.asarray(PIL.Image.open(tiles / "noise.png"))[:40, :30]
    model = calotype.load(weights / "tiny.calow")
    assert model.decode(model.encode(photo)).shape == photo.shape

    refused = run(*command, "--crop", "100")
    assert refused.returncode == 1
    assert "multiples of 8" in refused.stderr
    half = run(*command[:5], str(tmp_path / "half"), "--half")
    assert half.returncode == 1
    assert "bfloat16" in half.stderr


def test_a_run_stops_in_time(tiles: Path, tmp_path: Path) -> None:
    options = ["--data", str(tiles), "--out", str(tmp_path), "--time", "1h", "--stop-after", "1s", "--crop", "64"]
    done = run("train", TINY, *options, "-T", "1")
    assert done.returncode == 0, done.stderr
    assert "of 60.0 minutes" in done.stderr
    assert (tmp_path / "state.pt").exists()


def test_training_needs_no_kernel(tiles: Path, tmp_path: Path) -> None:
    """Also from warm weights: a rented GPU machine has PyTorch, and nothing that we compiled."""
    code = f"""
import sys
for name in ("cffi", "_cffi_backend", "calotype.coding._kernel", "tomli_w"):
    sys.modules[name] = None
from calotype.train import data
data.TILE = 128
from calotype.cli.app import main
main(["train", "vae.swift", "--data", {str(tiles)!r}, "--out", {str(tmp_path)!r}, "--time", "1s", "--crop", "64",
      "--late-crop", "64", "--batch", "1", "--init", {str(calotype.load("vae.swift").card.weights)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-2]["validation_psnr"] > 25  # it went on from the shipped weights
