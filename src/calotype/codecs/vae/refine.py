"""Latents refined for one picture: integers that cost less than those that rounding finds. Needs PyTorch.

The synthesis is no orthonormal transform: what rounding does to one latent others can mend, and a latent weighs more
where there is detail than where there is none. So the error of the picture itself is descended, in steps of

    target = decoded + INERTIA * (target - decoded) - step * gradient / curvature

after each of which the codec codes the target as it codes any latents, with a bit worth what the curvature says. This
is a proximal gradient with inertia: steps shrink from a size at which the cost rises at first. The file is an ordinary
one: decoders need not know.

Glossary: `decoded` latents in scaled units, as a decoder has them; costs in bits; `curvature` the second derivative of
the picture's error, in bits, by a scaled latent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...runtime.weights import Weights
from .freeze import thaw

STEP_FIRST, STEP_LAST = 0.2, 0.02  # parts of a Newton step; larger ones diverge, as latents overlap in the picture
INERTIA = 0.9
CYCLE = 8  # steps from the first size to the last; then again from the best so far, with smaller ones
CYCLE_DECAY = 0.6
STRIDE_MAX = 0.3  # of a latent in one step
BIT_WORTH = 0.5  # of what a bit is worth by the curvature: others mend some of an error
PROBES = 2  # random pictures that the curvature is measured with
GROUP = 32  # channels whose curvature is measured together
CURVATURE_MIN = 0.35  # of the largest: where nothing is yet, it grows as soon as there is something

Floats = npt.NDArray[np.float32]
Round = Callable[[Floats, Floats], tuple[Floats, float]]
"""Targets and what a bit is worth to each -> latents as decoded, and their bits; all in scaled units."""


@dataclass(frozen=True)
class Picture:
    """A window of an image, and which of its latents are to be refined."""

    x: Floats
    """(1, channels, h, w) in [0, 1]; grey has one channel, and the mean of the colours decoded counts."""
    seen: Floats
    """(1, 1, h, w): 1 where an error counts, 0 where there is no image or nobody sees it."""
    scaled: Floats
    """Scaled latents of the window, (1, latents, h/16, w/16); those outside of the tile stay as they are."""
    rows: slice
    """Rows of latents that are to be refined."""
    columns: slice
    """Columns, likewise."""


@dataclass(frozen=True)
class Rate:
    """What belongs to a position of the rate."""

    inverse_gain: Floats
    """(1, latents, 1, 1)."""
    scale: Floats
    """Feature scales of the synthesis, (1, width, 1, 1)."""
    error_worth: float
    """Bits that a squared error of 1 is worth, in one sample of a pixel of three."""


class Refiner:
    """Refines latents of one model."""

    def __init__(self, weights: Weights) -> None:
        self._synthesis: nn.Module = thaw(weights).synthesis.eval().requires_grad_(False)

    def refine(self, picture: Picture, rate: Rate, start: Floats, bits: float, round_: Round, steps: int) -> Floats:
        """Decoded latents of the tile that cost no more than `start`, of so many bits; the best of all steps."""
        error = _Error(self._synthesis, picture, rate)
        curvature = error.curvature(start)
        bit_worth = (2 * BIT_WORTH / curvature).numpy()
        decoded = torch.from_numpy(start)
        target = torch.from_numpy(np.ascontiguousarray(picture.scaled[:, :, picture.rows, picture.columns]))
        best, best_target, least = decoded, target, np.inf
        for step in range(steps):
            cycle, place = divmod(step, CYCLE)
            cost, gradient = error.descend(decoded)
            if bits + cost < least:
                best, best_target, least = decoded, target, bits + cost
            elif place == 0:
                decoded, target = best, best_target
                gradient = error.descend(decoded)[1]
            last = min(CYCLE, steps - cycle * CYCLE) - 1
            size = (STEP_FIRST + (STEP_LAST - STEP_FIRST) * place / max(last, 1)) * CYCLE_DECAY**cycle
            move = (size * gradient / curvature).clamp_(-STRIDE_MAX, STRIDE_MAX)
            target = decoded + INERTIA * (target - decoded) - move
            rounded, bits = round_(target.numpy(), bit_worth)
            decoded = torch.from_numpy(rounded)
        return (decoded if bits + error.cost(decoded) < least else best).numpy()


class _Error:
    """What the error of a picture costs in bits, by the decoded latents of its tile."""

    def __init__(self, synthesis: nn.Module, picture: Picture, rate: Rate) -> None:
        self._synthesis = synthesis
        self._around = torch.from_numpy(picture.scaled)
        self._place = (slice(None), slice(None), picture.rows, picture.columns)
        self._x, self._seen = torch.from_numpy(picture.x), torch.from_numpy(picture.seen)
        self._gain, self._scale = torch.from_numpy(rate.inverse_gain), torch.from_numpy(rate.scale)
        self._worth: float = rate.error_worth * 3 / picture.x.shape[1]

    def cost(self, decoded: Tensor) -> float:
        with torch.no_grad():
            error = (self._show(decoded) - self._x) * self._seen
            return self._worth * float(error.square().sum())

    def descend(self, decoded: Tensor) -> tuple[float, Tensor]:
        """The cost, and its gradient."""
        variable = decoded.clone().requires_grad_()
        shown = self._show(variable)
        error = (shown.detach() - self._x) * self._seen
        (gradient,) = torch.autograd.grad(shown, variable, 2 * self._worth * error)
        return self._worth * float(error.square().sum()), gradient

    def curvature(self, start: Floats) -> Tensor:
        """The diagonal of 2 worth J^T J, smoothed: squares of J^T u for random signs u have it as their mean."""
        variable = torch.from_numpy(start).requires_grad_()
        shown = self._show(variable)
        generator = torch.Generator().manual_seed(0)
        total = torch.zeros_like(variable)
        for probe in range(PROBES):
            signs = torch.randint(0, 2, shown.shape, generator=generator) * 2 - 1
            (found,) = torch.autograd.grad(shown, variable, signs * self._seen, retain_graph=probe + 1 < PROBES)
            total += found.square() / PROBES
        importance = self._gain.square()
        groups = [part.mean(1, keepdim=True).expand_as(part) for part in torch.split(total / importance, GROUP, 1)]
        here = torch.cat(groups, 1)
        here = 0.5 * here + 0.5 * F.avg_pool2d(F.pad(here, (1, 1, 1, 1), "replicate"), 3, 1)
        here = here.clamp_min(max(CURVATURE_MIN * float(here.max()), torch.finfo(torch.float32).tiny))
        curvature: Tensor = 2 * self._worth * importance * here
        return curvature

    def _show(self, decoded: Tensor) -> Tensor:
        """Colours of the window, or their mean where the picture is grey."""
        scaled = self._around.clone()
        scaled[self._place] = decoded
        shown: Tensor = self._synthesis(scaled * self._gain, self._scale)
        return shown if self._x.shape[1] == shown.shape[1] else shown.mean(1, keepdim=True)
