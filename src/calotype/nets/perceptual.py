"""LPIPS: a distance of images in the features of a network that was trained to tell things apart.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", sec. 3, version 0.1 of the
linear weights; backbone SqueezeNet 1.1 (Iandola et al. 2016). Values of different backbones do not compare.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsNotFound

DATA = "CALOTYPE_DATA"  # names the folder with the images for measuring and training
FOLDER = "perceptual"  # beside that
BACKBONE, LINEAR = "squeezenet1_1.npz", "lpips_squeeze_linear.npz"

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of inputs in [-1, 1]: ImageNet's mean and deviation
TAPS = (2, 5, 8, 10, 11, 12, 13)  # how many layers of the backbone come before each set of features
EPSILON = 1e-10  # against division by zero where all features are

# SqueezeNet 1.1: torchvision's layer numbers; a fire layer squeezes and expands to twice the given width.
FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128),
         9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}  # fmt: skip
POOLS = (2, 5, 8)


class Fire(nn.Module):
    """Iandola et al. 2016, sec. 3.2."""

    def __init__(self, inputs: int, squeezed: int, expanded: int):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


class Lpips(nn.Module):
    """LPIPS with SqueezeNet: the less, the more alike; 0 for equal images. Differentiable, its weights are fixed.

    Parameters
    ----------
    folder
        Holds `squeezenet1_1.npz` (torchvision's parameter names) and `lpips_squeeze_linear.npz` (`lin0` to `lin6`).

    Raises
    ------
    WeightsNotFound
        A file is not there.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, folder: Path):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()]
        for index in range(2, TAPS[-1]):
            pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
            layers.append(pool if index in POOLS else Fire(*FIRES[index]))
        self.features = nn.ModuleList(layers)
        self.load_state_dict(_arrays(folder / BACKBONE, "features."), strict=True)
        linear = _arrays(folder / LINEAR, "lin")
        self.weights = nn.ParameterList([linear[f"lin{k}"].reshape(1, -1, 1, 1) for k in range(len(TAPS))])
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances of two batches (b, 3, h, w) of RGB in [0, 1]: (b,). Sides of 32 pixels or more."""
        distances = []
        for x, y, weight in zip(self._features(a), self._features(b), self.weights, strict=True):
            difference = (_unit(x) - _unit(y)).square()
            distances.append((weight * difference).sum(dim=1).mean(dim=(1, 2)))
        return torch.stack(distances).sum(dim=0)

    def describe(self, x: Tensor) -> Tensor:
        """What is in a batch (b, 3, h, w) of RGB in [0, 1]: its last features, means over the positions, (b, 512)."""
        return self._features(x)[-1].mean(dim=(2, 3))

    def _features(self, x: Tensor) -> list[Tensor]:
        x = (2 * x - 1 - self.shift) / self.scale
        found = []
        for index, layer in enumerate(self.features, start=1):
            x = layer(x)
            if index in TAPS:
                found.append(x)
        return found


def perceptual_folder(given: Path | None = None) -> Path:
    """The given folder of weights, else the one beside that in CALOTYPE_DATA. Raises `WeightsNotFound`."""
    if given is not None:
        return given
    if not (data := os.environ.get(DATA)):
        raise WeightsNotFound(
            f"LPIPS needs a folder with {BACKBONE} and {LINEAR}: name it, or set {DATA} to the folder that it is beside"
        )
    return Path(data) / ".." / FOLDER


def open_lpips(folder: Path | None = None) -> Lpips:
    """The network of a folder, as `perceptual_folder` finds it; read once. Raises `WeightsNotFound`."""
    return _open(perceptual_folder(folder))


@cache
def _open(folder: Path) -> Lpips:
    network: Any = Lpips(folder)  # the types of `to` do not know memory_format
    return network.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]  # as images are: less time


def _unit(x: Tensor) -> Tensor:
    """Each position's features at length 1. The norm has a gradient where all are zero; a square root has not."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / (norm + EPSILON)


def _arrays(path: Path, prefix: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsNotFound(f"{path} is not there; LPIPS needs a folder with {BACKBONE} and {LINEAR}")
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]).float() for name in arrays if name.startswith(prefix)}
