"""Running exported networks: what an engine is, and the networks of one weights file."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Lock, Thread
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import Unsupported
from .onnx import OnnxNetwork
from .weights import Weights


class Network(Protocol):
    """One exported network, ready to run."""

    def __call__(self, **inputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Named inputs of shape (1, c, h, w) -> outputs in their exported order."""
        ...


Engine = Callable[[bytes, int], Network]
"""Opens a serialised network for a number of threads (0: the machine's choice)."""


def engine_on(device: str) -> Engine:
    """PyTorch on a device as `resolve_device` names it."""
    from .torch import TorchNetwork

    return partial(TorchNetwork, device=device)


def resolve_device(device: str | None) -> str | None:
    """The one name of a device that `cuda` or `cuda:0` stand for; None is ONNX Runtime on the processor.

    Raises
    ------
    Unsupported
        There is no such device, or no PyTorch.
    """
    if device is None:
        return None
    try:
        from .torch import find_device
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"the device {device!r} needs PyTorch and onnx, and {error.name} is not installed; "
            "run: pip install 'calotype[gpu]', or leave out the device"
        ) from None
    return find_device(device)


class Networks:
    """The networks of one weights file, opened when first used and kept. Safe to share between threads.

    ONNX Runtime runs those of the weights' int8 companion, where there is one; other engines do not know its operators.
    """

    def __init__(self, weights: Weights, engine: Engine = OnnxNetwork) -> None:
        self._weights = weights
        self._engine = engine
        self._lock = Lock()
        self._open: dict[tuple[str, int], Future[Network]] = {}

    def get(self, name: str, threads: int) -> Network:
        """The network of that name. Raises `CorruptFile` if the weights file lacks it."""
        return self._future(name, threads).result()

    def prepare(self, name: str, threads: int) -> None:
        """Open a network in the background, beside the work on those needed before it."""
        Thread(target=self._future, args=(name, threads), daemon=True).start()

    def _source(self, name: str) -> Weights:
        int8 = self._weights.int8
        return int8 if int8 is not None and self._engine is OnnxNetwork and name in int8.networks else self._weights

    def _future(self, name: str, threads: int) -> Future[Network]:
        key, future = (name, threads), Future[Network]()
        with self._lock:
            if key in self._open:
                return self._open[key]
            self._open[key] = future
        try:
            future.set_result(self._engine(self._source(name).network(name), threads))
        except BaseException as error:  # for whoever asks for the result, now or later
            future.set_exception(error)
        return future
