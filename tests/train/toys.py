"""Models that train in no time and can be worked out; images to train on, and a clock that ticks by itself."""

from __future__ import annotations

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from calotype.nets.objective import Figures, Objective
from calotype.runtime.weights import Weights

SIDE = 192  # of tiles, in place of 512 pixels


def make_image(seed: int, height: int, width: int) -> PIL.Image.Image:
    rng = np.random.default_rng(seed)
    noise = PIL.Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
    return noise.resize((width, height), PIL.Image.Resampling.BICUBIC)


class Clock:
    """Every look at it finds a second gone, so that a run of so many seconds has as many steps on any machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


class Line(nn.Module):
    """Its loss is (w - mean of the crops)^2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0]))


def line_loss(model: Line, crops: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    loss = ((model.w - crops.mean((1, 2, 3))) ** 2).mean()
    return loss, {"w": model.w.detach()[0], "rates": rates.mean()}


def line(model: Line) -> list[Objective[Line]]:
    return [Objective(line_loss, list(model.parameters()))]


class Duel(nn.Module):
    """A generator of one number, and a critic that tells it from the mean of the crops."""

    def __init__(self) -> None:
        super().__init__()
        self.made = nn.Parameter(torch.tensor([0.5]))
        self.judge = nn.Parameter(torch.tensor([0.1]))


def critic_loss(model: Duel, crops: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    judge = model.judge
    return (judge * (model.made - crops.mean()) + judge.square()).sum(), {"judge": judge.detach()[0]}


def generator_loss(model: Duel, crops: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    return -(model.judge * model.made).sum(), {"made": model.made.detach()[0]}


def duel(model: Duel) -> list[Objective[Duel]]:
    return [
        Objective(generator_loss, [model.made], name="generator"),
        Objective(critic_loss, [model.judge], name="critic", rate=0.5),
    ]


class Thumbnail(nn.Module):
    """A small image that is enlarged to any size: what a fit to one image learns."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = nn.Parameter(torch.full((1, 3, 6, 8), 0.5))


def thumbnail_loss(model: Thumbnail, crops: Tensor, rates: Tensor) -> tuple[Tensor, Figures]:
    found = F.interpolate(model.pixels, crops.shape[2:], mode="bilinear")
    mse = (found - crops).square().mean()
    return mse, {"bpp": rates.mean(), "psnr": -10 * mse.detach().log10()}


class ThumbnailTraining:
    """`calotype.train.protocol.Training` of any recipe."""

    def build(self, recipe: str) -> Thumbnail:
        return Thumbnail()

    def thaw(self, weights: Weights) -> Thumbnail:
        raise NotImplementedError

    def freeze(self, model: Thumbnail) -> bytes:
        return model.pixels.detach().numpy().tobytes()

    def objectives(self, model: Thumbnail) -> list[Objective[Thumbnail]]:
        return [Objective(thumbnail_loss, list(model.parameters()))]

    def validation_rates(self, model: Thumbnail) -> tuple[float]:
        return (0.0,)

    def crop_unit(self, model: Thumbnail) -> int:
        return 1

    def halve_precision(self, model: Thumbnail) -> bool:
        return False
