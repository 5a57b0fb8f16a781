"""Fits latents and networks to one picture: start, schedule and optimisers. The loops are the kernel's.

Adam moves the latents (in the kernel), SOAP the networks. Latents are soft-rounded with noise; temperature, noise and
steps fall. Then latents are rounded, each where it is best by trial, and in the last iterations only the networks move.
docs/explain/fit.md says what each part brings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .common import common_latents, common_parameters
from .fitter import Fitter, Floats, Iteration
from .network import bits_slope
from .similarity import Similarity
from .soap import Soap
from .trials import Trials

if TYPE_CHECKING:
    from .torch_fitter import TorchFitter

Listener = Callable[[int, int], None]  # called with the number of iterations that are done, and that of all


@dataclass(frozen=True)
class Start:
    """Where fitting begins."""

    parameters: Floats
    latents: list[Floats] | None = None
    """Not rounded, grid 0 first; None: zeros."""
    cold: bool = False
    """Whether it knows nothing, so that first steps can be large."""


@dataclass(frozen=True)
class Aim:
    """Squared error, weighted, from a picture: near enough to another loss to stand for it for a few iterations."""

    picture: Floats
    """[height, width, channels]."""
    weight: Floats
    """[height, width]."""


@dataclass(frozen=True)
class Fitted:
    """What a file of the codec holds, before the parameters are quantised."""

    latents: list[NDArray[np.int16]]
    """Grid 0 first."""
    parameters: Floats
    rate_bits: float
    """Ideal length of the latents."""
    mse: float
    """Mean squared error of samples in [0, 1], not clipped; from `aim`, weighted, where there is one."""
    aim: Aim | None = None
    """What the picture was fitted to at last, in place of itself."""

    @property
    def start(self) -> Start:
        """To go on from here, for another `lmbda`."""
        return Start(self.parameters, [y.astype(np.float32) for y in self.latents])


# Constants from tiles of the training set.
SHORT, LONG = 1000, 8000  # iterations
TEMPERATURE = 0.3  # of soft rounding, at first
COOLEST = 0.12, 0.08  # at last, in a short run and in a long one
EPSILON = 5.0, 0.5  # of Adam for latents, in lambda, the scale of their gradient: in a short run and in a long one
NOISE = 0.2, 0.15  # at first and at last
HARD_FROM, HARD_TO = 0.5, 0.5  # when some latents begin to be rounded hard; their share at last
LATENT_STEP = 0.2  # at most, in units of their rounding
LATENT_DECAY = 0.8, 0.99  # of the moments of Adam
NETWORK_STEP = 0.015  # likewise
GENTLE = 30, 60  # iterations in which the steps of networks and of latents grow to that, unless it begins cold
GENTLE_SHARE = 0.1, 0.2  # of all iterations, at most
STRIDE = 4  # every so many-th block of positions tells the networks' gradient
TRIED = 0.05  # share of the iterations that are looks at single latents, rounded
LAST = 0.03  # share of those that move only the networks
LAST_STEP = 0.1  # of the networks then, as a share of that at first
CANDIDATES = 3  # cold starts to choose from
SEVERAL_FROM = 1000  # iterations from which on there are several
CANDIDATE = 0.03  # share of the work, for each
LEAST = 30  # iterations, however short the time
AIM_FROM, AIM_EVERY = 10, 5  # iterations: from when on, and how often, the slope of similarity is taken
CAUTION = 4.0  # weights that go with it, in those that similarity has of noise
AS_LONG_AS_WRITING = 60  # iterations of one thread, which takes about 45 of them, and a reserve


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
    return Start(vector, cold=True)


def between(ends: tuple[float, float], share: float) -> float:
    """What lies so far on the way from one to the other."""
    return ends[0] + (ends[1] - ends[0]) * share


def longness(iterations: float) -> float:
    """From 0 for `SHORT` runs to 1 for `LONG` ones, by the logarithm."""
    return min(max(math.log(max(iterations, 1) / SHORT) / math.log(LONG / SHORT), 0.0), 1.0)


class _Run:
    """A picture at work."""

    def __init__(
        self, fitter: Fitter | TorchFitter, start: Start, lmbda: float, seed: int, similarity: Similarity | None = None
    ) -> None:
        self.fitter, self.lmbda, self.seed, self.similarity = fitter, lmbda, seed, similarity
        self.aim: Aim | None = None
        shapes = [fitter.architecture.grid(k) for k in range(fitter.architecture.grids)]
        fitter.latents = start.latents or [np.zeros(shape, np.float32) for shape in shapes]
        self.parameters, self._cold = start.parameters, start.cold
        self.soap = Soap(fitter.architecture)
        self.pixels = fitter.architecture.height * fitter.architecture.width

    def soft(self, share: float, length: float) -> float:
        """One of `length` iterations, `share` of them being done; returns the loss per pixel before it."""
        count, long = self.soap.count + 1, longness(length)
        cosine = 0.5 + 0.5 * math.cos(math.pi * share)
        grown = [count / min(most, part * length) for most, part in zip(GENTLE, GENTLE_SHARE, strict=True)]
        networks, latents = (cosine if self._cold else cosine * min(1.0, part) for part in grown)
        iteration = Iteration(
            lmbda=self.lmbda,
            hard=HARD_TO * max(0.0, share - HARD_FROM) / (1 - HARD_FROM),
            temperature=between((TEMPERATURE, between(COOLEST, long)), share),
            noise=between(NOISE, share),
            step=LATENT_STEP * latents,
            decay=LATENT_DECAY,
            correction=(1 - LATENT_DECAY[0] ** count, 1 - LATENT_DECAY[1] ** count),
            epsilon=EPSILON[0] * (EPSILON[1] / EPSILON[0]) ** long * self.lmbda,
            seed=self._seed,
            stride=STRIDE,
        )
        return self._step(iteration, NETWORK_STEP * networks)

    def hard(self, share: float) -> float:
        """One iteration of the networks alone."""
        iteration = Iteration(self.lmbda, hard=1, seed=self._seed, stride=STRIDE)
        return self._step(iteration, NETWORK_STEP * LAST_STEP * (1 - share))

    def trials(self) -> Trials:
        """Of the latents, which they round."""
        return Trials(self.fitter, self.parameters, self.lmbda)

    @property
    def _seed(self) -> int:
        """Of the noise, and of which blocks tell the networks' gradient."""
        return (self.seed * 1_000_003 + self.soap.count + 1) % 2**32

    def _step(self, iteration: Iteration, size: float) -> float:
        if self.similarity is not None and self.soap.count >= AIM_FROM and self.soap.count % AIM_EVERY == 0:
            self._take_aim(self.similarity)
        loss, gradient = self.fitter.iterate(iteration, self.parameters)
        gradient += self.lmbda * bits_slope(self.fitter.architecture, self.parameters)
        self.parameters = self.soap.step(self.parameters, gradient, size)
        return self._per_pixel(loss.bits, loss.error)

    def _take_aim(self, similarity: Similarity) -> None:
        """Where weighted squared error has the slope of the loss for similarity, at what the last iteration gave."""
        found, weight = self.fitter.output, similarity.weight * np.float32(CAUTION)
        away = similarity.slope(found) / (2 * weight[..., None] / found.shape[2])
        self.aim = Aim(found - away, weight)
        self.fitter.aim(self.aim.picture, self.aim.weight)

    def _per_pixel(self, bits: float, error: float) -> float:
        return (error / self.fitter.architecture.channels + self.lmbda * bits) / self.pixels

    def fitted(self) -> Fitted:
        """What has been reached, latents rounded."""
        hard = Iteration(self.lmbda, hard=1)
        loss, _ = self.fitter.iterate(hard, self.parameters)
        if self.similarity is not None:
            self._take_aim(self.similarity)
            loss, _ = self.fitter.iterate(hard, self.parameters)
        latents = [y.astype(np.int16) for y in self.fitter.rounded]
        mse = loss.error / (self.pixels * self.fitter.architecture.channels)
        return Fitted(latents, self.parameters, loss.bits, mse, self.aim)


class _Pace:
    """How far the work is: by iterations, or by the clock where there is a limit of seconds."""

    def __init__(self, steps: int, seconds: float | None, writing: int, progress: Listener | None) -> None:
        """`writing`: iterations that take as long as what comes behind the fit."""
        self._steps, self._seconds, self._writing, self._progress = steps, seconds, writing, progress
        self._started = self._first = time.monotonic()
        self._done = 0

    @property
    def share(self) -> float:
        """Of the work that is done, 1 at the end."""
        if self._seconds is None:
            return self._done / self._steps if self._steps else 1.0
        return min((time.monotonic() - self._started) / self._for_fitting(), self._done / LEAST, 1.0)

    @property
    def length(self) -> float:
        """Iterations that all will be, as far as can be told."""
        if self._seconds is None:
            return self._steps
        return max(LEAST, self._for_fitting() / self._each) if self._done else LEAST

    @property
    def _each(self) -> float:
        """Seconds of an iteration."""
        return max(time.monotonic() - self._first, 1e-6) / max(self._done, 1)

    def _for_fitting(self) -> float:
        """Seconds of the limit that are left for it."""
        assert self._seconds is not None
        return max(self._seconds - self._writing * self._each, 1e-6)

    def until(self, share: float) -> Iterator[float]:
        """For each iteration up to there, how much of the way to it is done."""
        if not self._done:
            self._first = time.monotonic()
        begun = self.share
        while (now := self.share) < share:
            yield max(now - begun, 0) / (share - begun)
            self._done += 1
            if self._progress and self._seconds is None:
                self._progress(self._done, self._steps)
            elif self._progress:
                self._progress(round(1000 * self.share), 1000)


def _best_cold_start(fitter: Fitter | TorchFitter, lmbda: float, pace: _Pace, seed: int) -> Start:
    """Of a few, each tried for a while."""
    reached: list[tuple[float, Start]] = []
    for i in range(CANDIDATES):
        run = _Run(fitter, cold_start(fitter.architecture, seed + i), lmbda, seed)
        loss = [run.soft(0.0, pace.length) for _ in pace.until((i + 1) * CANDIDATE)][-1]
        reached.append((loss, Start(run.parameters, fitter.latents)))
    return min(reached, key=lambda pair: pair[0])[1]


def _first(picture: Floats, fitter: Fitter | TorchFitter, lmbda: float, pace: _Pace | None, seed: int) -> Start:
    """The common networks where there are any of this shape, else cold ones: the best of a few if they may be tried."""
    parameters = common_parameters(fitter.architecture, lmbda)
    if parameters is not None:
        return Start(parameters, common_latents(picture, fitter.architecture, lmbda))
    return _best_cold_start(fitter, lmbda, pace, seed) if pace else cold_start(fitter.architecture, seed)


def _fitter_on(device: str, picture: Floats, architecture: Architecture) -> TorchFitter:
    from .torch_fitter import TorchFitter

    return TorchFitter(picture, architecture, device)


def fit(
    picture: Floats,
    architecture: Architecture,
    lmbda: float,
    steps: int,
    seed: int = 0,
    threads: int = 1,
    start: Start | None = None,
    progress: Listener | None = None,
    seconds: float | None = None,
    similarity: Similarity | None = None,
    device: str | None = None,
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
        Told how much is done and how much all is. What it raises, and a KeyboardInterrupt, ends the work at once.
    seconds : float
        In place of `steps`: so long on the clock, less what it will take to write the file, but `LEAST` iterations at
        least. Then no result is the same twice.
    similarity : Similarity
        Of the picture, to be fitted for in place of squared error.
    device : str
        Where PyTorch does the kernel's work.

    Raises
    ------
    MemoryError
        It takes about 150 bytes per pixel.
    """
    pace = _Pace(steps, seconds, AS_LONG_AS_WRITING * threads, progress)
    fitter = _fitter_on(device, picture, architecture) if device else Fitter(picture, architecture, threads)
    if similarity is not None:
        fitter.aim(picture, similarity.weight)
    if start is None:
        start = _first(picture, fitter, lmbda, pace if steps >= SEVERAL_FROM else None, seed)
    run = _Run(fitter, start, lmbda, seed, similarity)
    for share in pace.until(1 - TRIED - LAST):
        run.soft(share, pace.length)
    trials = run.trials()
    for _ in pace.until(1 - LAST):
        if trials.exhausted:
            break
        trials.look()
    for share in pace.until(1):
        run.hard(share)
    return run.fitted()
