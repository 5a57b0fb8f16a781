"""Trains `deflate`: its one number, the coarsest step, is learned. A plug-in's training, for `calotype train`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calotype.errors import Unsupported
from calotype.nets.objective import Figures, Objective
from calotype.runtime.weights import Weights


class Coarsest(nn.Module):
    def __init__(self, step: float) -> None:
        super().__init__()
        self.log_step = nn.Parameter(torch.tensor(step).log())


def loss(model: Coarsest, x: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    """Bits of differences, about; and the error of rounding to steps."""
    step = 1 + (1 - rates) * (model.log_step.exp() - 1)
    differences = 255 * (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3))
    bpp = 3 * torch.log2(1 + differences / step)
    mse = step.square() / 12
    return (bpp + 0.01 * mse).mean(), {"bpp": bpp.detach().mean(), "psnr": (255**2 / mse.detach()).log10().mean() * 10}


class DeflateTraining:
    """How `deflate.tiny`, the only recipe, is trained: `calotype.train.protocol.Training`."""

    def build(self, recipe: str) -> Coarsest:
        if recipe != "tiny":
            raise Unsupported(f"deflate has no recipe {recipe!r}; it has tiny")
        return Coarsest(100.0)

    def thaw(self, weights: Weights) -> Coarsest:
        return Coarsest(float(weights.data))

    def freeze(self, model: Coarsest) -> bytes:
        return b"%d" % round(float(model.log_step.detach().exp()))

    def objectives(self, model: Coarsest) -> list[Objective[Coarsest]]:
        return [Objective(loss, list(model.parameters()))]

    def validation_rates(self, model: Coarsest) -> tuple[float, ...]:
        return 0.2, 0.8

    def crop_unit(self, model: Coarsest) -> int:
        return 8

    def halve_precision(self, model: Coarsest) -> bool:
        return False


TRAINING = DeflateTraining()
