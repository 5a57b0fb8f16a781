"""The kernel that fits, in Python's terms: latents and networks of one picture, and one iteration."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._kernel import ffi, lib
from .architecture import NEIGHBOURS, Architecture

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Iteration:
    """How one iteration rounds, and how it moves the latents."""

    lmbda: float
    """The loss is squared error, mean over channels and summed over pixels, plus `lmbda` times bits."""
    hard: float = 0.0
    """Share of the latents that are rounded and have no slope, others in each iteration; the rest are soft-rounded
    twice, with noise between. At 1 none moves."""
    temperature: float = 0.3
    noise: float = 0.0
    """Standard deviation."""
    seed: int = 0
    """Of the noise: another one in each iteration."""
    step: float = 0.0
    """Of Adam for the latents; 0: they stay as they are."""
    decay: tuple[float, float] = (0.9, 0.999)
    """Of Adam's moments."""
    correction: tuple[float, float] = (1.0, 1.0)
    """What Adam's moments are divided by: 1 - decay^t."""
    epsilon: float = 1e-8
    stride: int = 1
    """Only every so many-th block of positions tells the networks' gradient, scaled up."""
    only_loss: bool = False
    """No gradient and no step, in about half the time."""


class Loss(NamedTuple):
    """Of one iteration, before its step."""

    bits: float
    """Ideal length of the latents."""
    error: float
    """Squared error of samples in [0, 1], weighted, summed over pixels and channels."""


class Fitter:
    """Latents of a picture, all zero at first, with the moments of their optimiser.

    Parameters
    ----------
    picture : float32 array [height, width, channels]
        In [0, 1].
    threads : int
        The results do not depend on it.
    """

    def __init__(self, picture: Floats, architecture: Architecture, threads: int = 1) -> None:
        a = architecture
        offsets = np.array(NEIGHBOURS, dtype=np.int8)
        fitter = lib.fitter_open(
            a.height, a.width, a.channels, a.grids, a.neighbours, a.features, a.hidden,
            ffi.from_buffer("int8_t[]", offsets),
        )  # fmt: skip
        if fitter == ffi.NULL:
            raise MemoryError("no memory for the latents of a picture; smaller tiles need less")
        self._fitter = ffi.gc(fitter, lib.fitter_close)
        self._threads = max(1, threads)
        self.architecture = a
        self.aim(picture)

    def aim(self, picture: Floats, weight: Floats | None = None) -> None:
        """What the latents should give from now on, as the constructor's picture.

        Parameters
        ----------
        weight : float32 array [height, width]
            Of the squared error of each pixel; None: 1.
        """
        a = self.architecture
        weights = np.ones((a.height, a.width), np.float32) if weight is None else weight
        if picture.shape != (a.height, a.width, a.channels) or weights.shape != picture.shape[:2]:
            raise ValueError(f"a picture of {picture.shape}, weights of {weights.shape} for {a}")
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32)
        weights = np.ascontiguousarray(weights, dtype=np.float32)
        lib.fitter_aim(self._fitter, ffi.from_buffer("float[]", planes), ffi.from_buffer("float[]", weights))

    @property
    def output(self) -> Floats:
        """What the latents of the last iteration gave [height, width, channels], not clipped."""
        a = self.architecture
        planes = np.empty((a.channels, a.height, a.width), np.float32)
        for c, plane in enumerate(planes):
            lib.fitter_output(self._fitter, c, ffi.from_buffer("float[]", plane))
        return planes.transpose(1, 2, 0) + np.float32(0.5)

    def iterate(self, iteration: Iteration, parameters: Floats) -> tuple[Loss, Floats]:
        """Loss of `parameters` and the latents, and its gradient by the parameters; then a step of the latents."""
        vector = np.ascontiguousarray(parameters, dtype=np.float32)
        if vector.shape != (self.architecture.parameters,):
            raise ValueError(f"{vector.shape} parameters for an architecture of {self.architecture.parameters}")
        gradient, loss = np.empty_like(vector), ffi.new("fitter_loss *")
        settings = ffi.new("fitter_settings *", asdict(iteration))
        source, target = ffi.from_buffer("float[]", vector), ffi.from_buffer("float[]", gradient)
        if lib.fitter_iterate(self._fitter, settings, source, target, loss, self._threads):
            raise MemoryError("no memory for the threads that fit a picture")
        return Loss(loss.bits, loss.error), gradient

    @property
    def latents(self) -> list[Floats]:
        """The grids, not rounded, grid 0 first."""
        return self._grids(lib.fitter_read)

    @latents.setter
    def latents(self, grids: list[Floats]) -> None:
        """Sets the optimiser back as well."""
        for k, grid in enumerate(grids):
            if grid.shape != self.architecture.grid(k):
                raise ValueError(f"grid {k} is {grid.shape}, not {self.architecture.grid(k)}")
            values = np.ascontiguousarray(grid, dtype=np.float32)
            lib.fitter_write(self._fitter, k, ffi.from_buffer("float[]", values))

    @property
    def rounded(self) -> list[Floats]:
        """The grids as the last iteration rounded them."""
        return self._grids(lib.fitter_rounded)

    @property
    def gradient(self) -> list[Floats]:
        """The gradient of the last iteration's loss by the latents; by the rounded ones if all were rounded hard."""
        return self._grids(lib.fitter_gradient)

    @property
    def bits(self) -> list[Floats]:
        """The ideal length of each latent, as the last iteration rounded them."""
        return self._grids(lib.fitter_bits)

    @property
    def errors(self) -> Floats:
        """The squared error of each pixel in the last iteration [height, width], weighted, summed over channels."""
        errors = np.empty((self.architecture.height, self.architecture.width), np.float32)
        lib.fitter_errors(self._fitter, ffi.from_buffer("float[]", errors))
        return errors

    def _grids(self, read: object) -> list[Floats]:
        grids = []
        for k in range(self.architecture.grids):
            grid = np.empty(self.architecture.grid(k), dtype=np.float32)
            read(self._fitter, k, ffi.from_buffer("float[]", grid))  # type: ignore[operator]
            grids.append(grid)
        return grids
