"""The trade-off learned from samples (Blau and Michaeli 2019), in small: needs PyTorch.

An encoder maps a vector x in [0, 1]^n to k numbers in 0..levels - 1. They are quantised with a dither u, uniform in
+-1/2, that encoder and decoder share: round(z + u) - u is z and uniform noise, whatever z is (universal quantisation,
Ziv 1985), and round(z + u) is one of `levels` integers, so a code of fixed length takes k log2(levels) bits. The
decoder makes x^ of it, and is random through the dither. Both minimise E |x - x^|^2 + weight * W1(p_x, p_x^), where W1
is what a critic finds: the largest mean difference of a function whose gradient has norm 1 (WGAN-GP: Gulrajani et al.
2017).

Distortion and perception are measured on samples that were not trained on. Perception there is the sliced Wasserstein-1
distance: the mean over random directions of the distance of projections, which needs no critic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..errors import Unsupported
from ..nets.straight_through import ste_round

Samples = npt.NDArray[np.float32]

LATENTS = (1, 2, 4)
WEIGHTS = (0.0, 1.0, 3.0, 10.0)  # of W1, beside a squared error summed over x
STEPS = 800
WIDTH = 128  # of hidden layers
BATCH = 128
HELD_OUT = 0.25
DIRECTIONS = 512
CRITIC_TURNS = 2  # for each of encoder and decoder
PENALTY = 10.0  # of the critic's gradient (Gulrajani et al. 2017)


@dataclass(frozen=True)
class Learned:
    """An encoder and decoder, as they did on samples that were held out."""

    latents: int
    levels: int
    weight: float
    """Of perception, in what was minimised."""
    bits: float
    """Of a sample, in a code of fixed length."""
    distortion: float
    """Mean squared error, of one number of x in 0..1."""
    perception: float
    """Sliced Wasserstein-1 distance between samples and decoded samples, unit that of x."""
    decoded: Samples
    """The first held-out samples as decoded."""


class Codec(nn.Module):
    """Encoder and decoder."""

    def __init__(self, size: int, latents: int, levels: int):
        super().__init__()
        self.levels = levels
        self.encoder = _layers(size, latents)
        self.decoder = _layers(latents, size)

    def forward(self, x: Tensor) -> Tensor:
        """Samples (b, n) as decoded, (b, n), with a fresh dither."""
        z = (self.levels - 1) * torch.sigmoid(self.encoder(x))
        dither = torch.rand_like(z) - 0.5
        y = ste_round(z + dither) - dither
        return torch.sigmoid(self.decoder(2 * y / (self.levels - 1) - 1))


def learn(
    samples: Samples,
    latents: Sequence[int] = LATENTS,
    weights: Sequence[float] = WEIGHTS,
    *,
    levels: int = 4,
    steps: int = STEPS,
    seed: int = 0,
    report: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> list[Learned]:
    """Train a codec for each number of latents and each weight; what each does on a quarter that is held out.

    Parameters
    ----------
    samples
        Shape (count, n), in [0, 1].
    latents, weights
        What to train. For each number of latents, training begins with `steps` steps for the distortion alone; each
        weight above 0 goes on from there for as many.
    report
        Called with the number of codecs done, that of all, and what is being trained.
    """
    if samples.ndim != 2 or len(samples) < 8 or not (samples.min() >= 0 and samples.max() <= 1):
        raise Unsupported("samples are needed of shape (8 or more, n) in [0, 1]")
    if min(latents) < 1 or levels < 2 or min(weights) < 0 or steps < 1:
        raise Unsupported("latents and steps are 1 or more, levels 2 or more, weights 0 or more")
    tests, train = map(torch.from_numpy, held_out(samples, seed))
    found: list[Learned] = []
    total = len(latents) * len(weights)
    with torch.random.fork_rng(devices=[]):
        for k in latents:
            torch.manual_seed(seed)
            start = Codec(samples.shape[1], k, levels)
            _train(start, train, 0.0, steps)
            state = {name: value.clone() for name, value in start.state_dict().items()}
            for weight in weights:
                report(len(found), total, f"{k} latents, weight {weight:g}")
                torch.manual_seed(seed + 1)
                codec = Codec(samples.shape[1], k, levels)
                codec.load_state_dict(state)
                _train(codec, train, weight, steps)
                found.append(_measure(codec, tests, k, weight))
        report(total, total, "")
    return found


def held_out(samples: Samples, seed: int = 0) -> tuple[Samples, Samples]:
    """A random quarter, which `learn` measures on, and the rest, which it trains on."""
    shuffled = samples[np.random.default_rng(seed).permutation(len(samples))]
    count = round(HELD_OUT * len(samples))
    return shuffled[:count], shuffled[count:]


def sliced_wasserstein(a: Samples, b: Samples, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """Mean Wasserstein-1 distance of two equally many samples (count, n), projected on random unit vectors."""
    if a.shape != b.shape:
        raise Unsupported(f"samples of shapes {a.shape} and {b.shape}; equally many are needed")
    random = np.random.default_rng(seed).normal(size=(a.shape[1], directions))
    random /= np.linalg.norm(random, axis=0)
    return float(np.abs(np.sort(a @ random, axis=0) - np.sort(b @ random, axis=0)).mean())


def load_digits() -> Samples:
    """The 1,797 handwritten digits of scikit-learn, shape (1797, 64), 8 x 8 greys in [0, 1] (Alpaydin and Kaynak
    1998).
    """
    from sklearn.datasets import load_digits as load

    pixels: Samples = (load().data / 16).astype(np.float32)
    return pixels


def _measure(codec: Codec, tests: Tensor, latents: int, weight: float) -> Learned:
    with torch.no_grad():
        decoded = codec(tests).numpy()
    originals = tests.numpy()
    return Learned(
        latents=latents,
        levels=codec.levels,
        weight=weight,
        bits=latents * math.log2(codec.levels),
        distortion=float(np.square(originals - decoded).mean()),
        perception=sliced_wasserstein(originals, decoded),
        decoded=decoded[:16],
    )


def _train(codec: Codec, samples: Tensor, weight: float, steps: int) -> None:
    critic = _layers(samples.shape[1], 1)
    player, judge = _optimiser(codec, 1e-3), _optimiser(critic, 1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(player, lambda step: 1 - step / steps)

    def batch() -> Tensor:
        return samples[torch.randint(len(samples), (BATCH,))]

    for _ in range(steps):
        for _ in range(CRITIC_TURNS if weight else 0):
            with torch.no_grad():
                fake = codec(batch())
            _step(judge, _critic_loss(critic, batch(), fake))
        x = batch()
        decoded = codec(x)
        loss = (x - decoded).square().sum(dim=1).mean()
        if weight:
            loss = loss - weight * critic(decoded).mean()
        _step(player, loss)
        schedule.step()


def _critic_loss(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Its mean on decoded samples less that on real ones, and a penalty on gradients whose norm is not 1 in between."""
    part = torch.rand(len(real), 1)
    between = (part * real + (1 - part) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (gradient.norm(dim=1) - 1).square().mean()
    loss: Tensor = critic(fake).mean() - critic(real).mean() + PENALTY * penalty
    return loss


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _optimiser(module: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(module.parameters(), lr=rate, betas=(0.5, 0.9))


def _layers(inputs: int, outputs: int) -> nn.Sequential:
    parts: list[Any] = []
    for size in (inputs, WIDTH):
        parts += [nn.Linear(size, WIDTH), nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts, nn.Linear(WIDTH, outputs))
