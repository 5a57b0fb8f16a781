"""Running exported networks: what an engine is, and the networks of one weights file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .onnx import OnnxNetwork
from .weights import Weights


class Network(Protocol):
    """One exported network, ready to run."""

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Named inputs of shape (1, c, h, w) -> outputs in their exported order."""
        ...


Engine = Callable[[bytes, int], Network]
"""Opens a serialised network for a number of threads (0: the machine's choice)."""


class Networks:
    """The networks of one weights file, opened when first used and kept."""

    def __init__(self, weights: Weights, engine: Engine = OnnxNetwork) -> None:
        self._weights = weights
        self._engine = engine
        self._open: dict[tuple[str, int], Network] = {}

    def get(self, name: str, threads: int) -> Network:
        """The network of that name. Raises `CorruptFile` if the weights file lacks it."""
        if (name, threads) not in self._open:
            self._open[name, threads] = self._engine(self._weights.network(name), threads)
        return self._open[name, threads]
