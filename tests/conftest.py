"""Installs the codecs of `tests/plugin` as third parties': built, and on the path, here and in subprocesses."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.specimens import FOLDER

PLUGIN = Path(__file__).parent / "plugin"

sys.path.append(str(PLUGIN))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PLUGIN)]))
os.environ.pop("CALOTYPE_WEIGHTS", None)


def pytest_configure(config: pytest.Config) -> None:
    """A folder in which the processes of this run share specimens."""
    if FOLDER not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="specimens-")
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(partial(os.environ.__delitem__, FOLDER))
        os.environ[FOLDER] = folder.name


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("slow") and "CALOTYPE_SLOW" not in os.environ:
        pytest.skip("slow; set CALOTYPE_SLOW")
    # `torch.onnx` reads all that it can translate anew for each network, which takes longer than the rest; here once.
    if exporter := sys.modules.get("torch.onnx._internal.exporter._registration"):
        _remember_translations(exporter.ONNXRegistry)


@functools.cache
def _remember_translations(registry: Any) -> None:
    registry.from_torchlib = staticmethod(functools.cache(registry.from_torchlib))


def _build(folder: Path) -> None:
    """Compile a plug-in's kernel beside its source where that is newer, as its setup.py would."""
    kernel = folder / "_kernel.abi3.so"
    sources = [folder / "build.py", *(folder / "kernel").iterdir()]
    if kernel.exists() and kernel.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return
    spec = importlib.util.spec_from_file_location(f"build_{folder.name}", folder / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory(dir=folder) as aside:  # several workers may build at a time
        os.replace(module.ffibuilder.compile(tmpdir=aside), kernel)


for build in PLUGIN.glob("*/build.py"):
    _build(build.parent)


@pytest.fixture
def photo(texture: Callable[..., np.ndarray]) -> np.ndarray:
    """A smooth RGB image with some noise, (40, 56, 3): compressible, and not trivially so."""
    return texture(40, 56, 3)


@pytest.fixture(scope="session")
def texture() -> Callable[..., np.ndarray]:
    """`texture(height, width, channels)` makes uint8 pixels of that shape."""
    return _texture


def _texture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Waves and noise, different in each channel."""
    random = np.random.default_rng(seed)
    y, x = np.ogrid[:height, :width]
    waves = [np.sin(x / (5 + k)) + np.cos(y / (7 - k)) for k in range(channels)]
    values = 128 + 50 * np.stack(waves, axis=-1) + random.normal(0, 4, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)
