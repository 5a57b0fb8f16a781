"""Where fitting begins: networks that were fitted to many pictures at once, and latents told from the picture.

`weights/starts.npz` holds them for each preset and for classes of `lmbda`; tools/fit_starts.py made it. Only encoders
need it: a file holds its own networks.

The latents of grid k are a linear map of what lies around them in a pyramid of box means: 5 x 5 places of level k and
3 x 3 of level k + 1, of each channel less 1/2, and 1; least squares over the latents of those pictures.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .fitter import Floats

GRIDS = 7  # of the networks in the file; coarser grids begin without effect
CHANNELS = 3
CLASSES = 2.5e-5, 1e-4, 4e-4, 1.6e-3, 6.4e-3, 2.56e-2  # of lmbda

Level = NDArray[np.float32]


def pyramid(picture: Floats) -> list[Level]:
    """The picture less 1/2, and `GRIDS` times halved by means of 2 x 2, the last row and column repeated where odd."""
    levels = [picture - np.float32(0.5)]
    for _ in range(GRIDS):
        height, width, channels = levels[-1].shape
        even = np.pad(levels[-1], ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        levels.append(even.reshape(-(-height // 2), 2, -(-width // 2), 2, channels).mean((1, 3)))
    return levels


def _places(level: Level, reach: int) -> list[Level]:
    """The level shifted by up to `reach` rows and columns, edges repeated."""
    height, width, _ = level.shape
    padded = np.pad(level, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    side = range(2 * reach + 1)
    return [padded[r : r + height, c : c + width] for r in side for c in side]


def surroundings(levels: list[Level], k: int, first: int, last: int) -> Level:
    """What tells the latents of grid k in the rows from `first` to `last`: rows x columns x numbers."""
    width = levels[k].shape[1]
    near = levels[k][max(0, first - 2) : last + 2]
    skip = min(first, 2)
    fine = [place[skip : skip + last - first] for place in _places(near, 2)]
    rows, columns = np.arange(first, last) >> 1, np.arange(width) >> 1
    coarse = [place[rows][:, columns] for place in _places(levels[k + 1], 1)]
    return np.concatenate([*fine, *coarse, np.ones((last - first, width, 1), np.float32)], -1)


def told_latents(picture: Floats, maps: list[Floats]) -> list[Floats]:
    """The latents of the first grids, not rounded, a few rows at a time."""
    levels, grids = pyramid(picture), []
    for k, map_ in enumerate(maps):
        height = levels[k].shape[0]
        bands = [surroundings(levels, k, r, min(r + 64, height)) @ map_ for r in range(0, height, 64)]
        grids.append(np.concatenate(bands))
    return grids


@cache
def _file() -> dict[str, Floats]:
    with files(__package__).joinpath("weights", "starts.npz").open("rb") as stream, np.load(stream) as parts:
        return {name: parts[name].astype(np.float32) for name in parts.files}


def _nearest(architecture: Architecture, lmbda: float) -> str | None:
    """Name of the class of `lmbda` that is nearest, among those of this shape; None where there are none."""
    shape = f"{architecture.neighbours}-{architecture.features}-{architecture.hidden}"
    names = [f"{shape}.{i}" for i in range(len(CLASSES)) if f"{shape}.{i}.networks" in _file()]
    if not names or architecture.channels != CHANNELS or architecture.grids < GRIDS:
        return None
    return min(names, key=lambda name: abs(math.log(CLASSES[int(name[-1])] / lmbda)))


def common_parameters(architecture: Architecture, lmbda: float) -> Floats | None:
    """Networks fitted to many pictures; None where there are none of this shape."""
    a = architecture
    name = _nearest(a, lmbda)
    if name is None:
        return None
    vector = _file()[f"{name}.networks"]
    if a.grids == GRIDS:
        return vector.copy()
    part = Architecture(a.height, a.width, CHANNELS, GRIDS, a.neighbours, a.features, a.hidden).split(vector)
    more = np.zeros(a.parameters, np.float32)
    for name, to in a.split(more).items():
        source, coarser = part[name], a.grids - GRIDS
        if name in ("B1", "M"):
            to[:, coarser:] = source  # channels begin with the coarsest grid
        elif name in ("F0", "F1", "F2"):
            to[:, :-coarser] = source
        elif name in ("b", "taps"):
            to[:-coarser] = source
            to[-coarser:] = source[-1]
        else:
            to[...] = source
    return more


def common_latents(picture: Floats, architecture: Architecture, lmbda: float) -> list[Floats]:
    """Latents told from the picture, for `common_parameters`; zero in coarser grids than those have."""
    a = architecture
    told = told_latents(picture, list(_file()[f"{_nearest(a, lmbda)}.latents"]))
    return told + [np.zeros(a.grid(k), np.float32) for k in range(GRIDS, a.grids)]
