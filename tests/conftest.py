"""Installs the codec of `tests/plugin` as a third party's: on the path, here and in subprocesses."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

PLUGIN = Path(__file__).parent / "plugin"

sys.path.append(str(PLUGIN))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PLUGIN)]))
os.environ.pop("CALOTYPE_WEIGHTS", None)


@pytest.fixture
def photo(picture: Callable[..., np.ndarray]) -> np.ndarray:
    """A smooth RGB picture with some noise, (40, 56, 3): compressible, and not trivially so."""
    return picture(40, 56, 3)


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """`picture(height, width, channels)` makes uint8 pixels of that shape."""
    return _picture


def _picture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Waves and noise, different in each channel."""
    random = np.random.default_rng(seed)
    y, x = np.ogrid[:height, :width]
    waves = [np.sin(x / (5 + k)) + np.cos(y / (7 - k)) for k in range(channels)]
    values = 128 + 50 * np.stack(waves, axis=-1) + random.normal(0, 4, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)
