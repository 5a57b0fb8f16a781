"""Units that coding and training share: those of the kernel, and to be had without it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from calotype.coding import Mixture
from calotype.coding._kernel import lib
from calotype.coding.units import (
    LOCATION_UNIT,
    MAX_COMPONENTS,
    MIXTURE_PRECISION,
    MIXTURE_WEIGHTS,
    SCALES,
    SCALES_PER_OCTAVE,
)


def test_units_are_the_kernels() -> None:
    assert (SCALES, MAX_COMPONENTS) == (lib.CALO_SCALES, lib.CALO_COMPONENTS)
    mixture = Mixture(256, 1)
    narrow = np.array([[[100 * LOCATION_UNIT]], [[0]], [[1]]], np.int32)
    assert mixture.bits(np.array([100], np.int32), narrow)[0] < 0.1
    rarest = mixture.bits(np.array([0], np.int32), narrow)[0]
    assert rarest == MIXTURE_PRECISION
    flat = [mixture.bits(np.array([100], np.int32), narrow + scale * np.eye(3, 1, -1, np.int32)[:, None])[0]
            for scale in (64, 64 + SCALES_PER_OCTAVE)]  # fmt: skip
    assert 0.9 < flat[1] - flat[0] < 1.1  # twice as wide: half as likely


def test_weights_are_quarters_of_an_octave() -> None:
    assert np.abs(np.array(MIXTURE_WEIGHTS) - 2 ** (np.arange(64) / 4)).max() <= 1


def test_what_trains_imports_without_the_kernel() -> None:
    """A rented GPU machine has PyTorch, and nothing that we compiled."""
    code = """
import importlib, pathlib, sys
for name in ("cffi", "_cffi_backend", "calotype.coding._kernel"):
    sys.modules[name] = None
import calotype.codecs
import calotype.train.loop
folder = pathlib.Path(calotype.codecs.__file__).parent
found = [path.parent.name for path in folder.glob("*/training.py")]
for codec in found:
    importlib.import_module(f"calotype.codecs.{codec}.training")
print(len(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2
