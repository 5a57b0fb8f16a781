"""Fits latents and networks to one picture: start, schedule and optimisers. The loops are the kernel's.

Adam moves the latents (in the kernel) and the networks (here). Latents are soft-rounded with noise; temperature, noise
and steps fall. In the last iterations latents are rounded and only the networks move.
docs/explain/fit.md says what each part brings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .common import common_latents, common_parameters
from .fitter import Fitter, Floats, Iteration

Listener = Callable[[int, int], None]  # called with the number of iterations that are done, and that of all


@dataclass(frozen=True)
class Start:
    """Where fitting begins."""

    parameters: Floats
    latents: list[Floats] | None = None
    """Not rounded, grid 0 first; None: zeros."""
    warm: bool = True
    """Whether the parameters fit pictures already; then steps are smaller."""


@dataclass(frozen=True)
class Fitted:
    """What a file of the codec holds, before the parameters are quantised."""

    latents: list[NDArray[np.int16]]
    """Grid 0 first."""
    parameters: Floats
    rate_bits: float
    """Ideal length of the latents."""
    mse: float
    """Mean squared error of samples in [0, 1], not clipped."""

    @property
    def start(self) -> Start:
        """To go on from here, for another `lmbda`."""
        return Start(self.parameters, [y.astype(np.float32) for y in self.latents])


@dataclass(frozen=True)
class Schedule:
    """How steps, temperature and noise go; constants from tiles of the training set."""

    latents: float
    """Step of the latents at the start, in units of their rounding."""
    networks: float
    """Step of the networks at the start."""
    temperature: tuple[float, float] = (0.3, 0.12)
    noise: tuple[float, float] = (0.2, 0.1)
    last: float = 0.1
    """Share of the iterations that move only the networks."""
    networks_last: float = 0.1
    """Their step then, as a share of that at the start."""


COLD = Schedule(latents=0.2, networks=0.01)
WARM = Schedule(latents=0.2, networks=0.003)
CANDIDATES = 3  # cold starts that are tried
TRIED_FROM = 1000  # iterations from which on several are tried
TRIAL = 0.03  # share of the iterations of each


class Adam:
    """Kingma and Ba 2015, for the networks."""

    def __init__(self, size: int, decay: tuple[float, float] = (0.9, 0.99)) -> None:
        self.decay = decay
        self.first, self.second, self.count = np.zeros(size, np.float32), np.zeros(size, np.float32), 0

    def step(self, parameters: Floats, gradient: Floats, size: float) -> Floats:
        """The parameters after a step."""
        first, second = self.decay
        self.count += 1
        self.first += (1 - first) * (gradient - self.first)
        self.second += (1 - second) * (gradient * gradient - self.second)
        root = np.sqrt(self.second / (1 - second**self.count))
        moved: Floats = parameters - size / (1 - first**self.count) * self.first / (root + np.float32(1e-12))
        return moved


def cold_start(architecture: Architecture, seed: int) -> Start:
    """Random networks for latents that are zero."""
    a, random = architecture, np.random.default_rng(seed)
    vector = np.zeros(a.parameters, np.float32)
    part = a.split(vector)

    def uniform(name: str, bound: float) -> None:
        part[name][...] = random.uniform(-bound, bound, part[name].shape)

    for name in ("F0", "F1", "F2", "A1", "A2"):
        uniform(name, 0.1 / math.sqrt(a.inputs))
    uniform("A3", 0.05)
    uniform("L", 0.05)
    part["b"][:, 1] = -1
    part["taps"][...] = -0.0352, -0.1055, 0.2617, 0.8789  # bicubic
    uniform("B1", 0.5)
    uniform("B2", 0.1 / math.sqrt(a.hidden))
    part["M"][...] = random.uniform(0, 0.06, part["M"].shape)
    return Start(vector, warm=False)


def between(ends: tuple[float, float], share: float) -> float:
    """What lies so far on the way from one to the other."""
    return ends[0] + (ends[1] - ends[0]) * share


class _Run:
    """A picture at work."""

    def __init__(self, fitter: Fitter, start: Start, lmbda: float, seed: int) -> None:
        self.fitter, self.lmbda, self.seed = fitter, lmbda, seed
        shapes = [fitter.architecture.grid(k) for k in range(fitter.architecture.grids)]
        fitter.latents = start.latents or [np.zeros(shape, np.float32) for shape in shapes]
        self.schedule = WARM if start.warm else COLD
        self.parameters = start.parameters
        self.adam = Adam(len(start.parameters))
        self.pixels = fitter.architecture.height * fitter.architecture.width

    def soft(self, share: float) -> float:
        """One iteration, `share` of them being done; returns the loss per pixel before it."""
        s, count = self.schedule, self.adam.count + 1
        cosine = 0.5 + 0.5 * math.cos(math.pi * share)
        decay = (0.9, 0.999)
        iteration = Iteration(
            lmbda=self.lmbda,
            temperature=between(s.temperature, share),
            noise=between(s.noise, share),
            seed=(self.seed * 1_000_003 + count) % 2**32,
            step=s.latents * cosine,
            decay=decay,
            correction=(1 - decay[0] ** count, 1 - decay[1] ** count),
            epsilon=5 * self.lmbda,  # at the scale of the gradient
        )
        return self._step(iteration, s.networks * cosine)

    def hard(self, share: float) -> float:
        """One iteration of the networks alone."""
        s = self.schedule
        return self._step(Iteration(self.lmbda, hard=True), s.networks * s.networks_last * (1 - share))

    def _step(self, iteration: Iteration, size: float) -> float:
        loss, gradient = self.fitter.iterate(iteration, self.parameters)
        self.parameters = self.adam.step(self.parameters, gradient, size)
        return self._per_pixel(loss.bits, loss.error)

    def _per_pixel(self, bits: float, error: float) -> float:
        return (error / self.fitter.architecture.channels + self.lmbda * bits) / self.pixels

    def fitted(self) -> Fitted:
        """What has been reached, latents rounded."""
        loss, _ = self.fitter.iterate(Iteration(self.lmbda, hard=True), self.parameters)
        latents = [y.astype(np.int16) for y in self.fitter.rounded]
        return Fitted(
            latents, self.parameters, loss.bits, loss.error / (self.pixels * self.fitter.architecture.channels)
        )


def _best_cold_start(fitter: Fitter, lmbda: float, trial: int, seed: int) -> Start:
    """Of a few, each tried for so many iterations."""
    reached: list[tuple[float, Start]] = []
    for i in range(CANDIDATES):
        run = _Run(fitter, cold_start(fitter.architecture, seed + i), lmbda, seed)
        loss = [run.soft(0.0) for _ in range(trial)][-1]
        reached.append((loss, Start(run.parameters, fitter.latents, warm=False)))
    return min(reached, key=lambda pair: pair[0])[1]


def _first(picture: Floats, fitter: Fitter, lmbda: float, trial: int, seed: int) -> Start:
    """The common networks where there are any of this shape, else cold ones: the best of a few if they may be tried."""
    parameters = common_parameters(fitter.architecture, lmbda)
    if parameters is not None:
        return Start(parameters, common_latents(picture, fitter.architecture, lmbda))
    if trial:
        return _best_cold_start(fitter, lmbda, trial, seed)
    return cold_start(fitter.architecture, seed)


def fit(
    picture: Floats,
    architecture: Architecture,
    lmbda: float,
    steps: int,
    seed: int = 0,
    threads: int = 1,
    start: Start | None = None,
    progress: Listener | None = None,
) -> Fitted:
    """Fits latents and networks to a picture.

    Parameters
    ----------
    picture : float32 array [height, width, channels]
        In [0, 1].
    lmbda : float
        What is least is mean squared error + `lmbda` * bits per pixel.
    steps : int
        Iterations, those that only move the networks and trials of cold starts included.
    seed : int
        Of starts and noise. Equal arguments give equal results on one kind of processor, whatever `threads` is.
    start : Start
        Where to begin; None begins with networks that fit many pictures, or cold where there are none of this shape.
    progress : callable
        Told the number of iterations that are done and that of all. What it raises, and a KeyboardInterrupt, ends the
        work at once.

    Raises
    ------
    MemoryError
        It takes about 130 bytes per pixel.
    """
    fitter = Fitter(picture, architecture, threads)
    done = 0
    if start is None:
        trial = math.ceil(TRIAL * steps) if steps >= TRIED_FROM else 0
        start = _first(picture, fitter, lmbda, trial, seed)
        done = 0 if start.warm else CANDIDATES * trial
    run = _Run(fitter, start, lmbda, seed)
    last = round(run.schedule.last * steps)
    soft = max(0, steps - done - last)
    for i in range(soft + last):
        if i < soft:
            run.soft(i / soft)
        else:
            run.hard((i - soft) / last)
        if progress:
            progress(done + i + 1, steps)
    return run.fitted()
