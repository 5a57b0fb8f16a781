"""Makes `codecs/fit/weights/starts.npz`: `python tools/fit_starts.py starts.npz train/photos-0[01].tar`.

For each preset, one set of networks is fitted to crops of many pictures at once, each with latents of its own, for each
class of lambda in turn; then least squares tell those latents from the pictures. About eight minutes of one core.
"""

from __future__ import annotations

import argparse
import io
import math
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image

from calotype.codecs.fit.architecture import PRESETS, Architecture
from calotype.codecs.fit.common import CLASSES, GRIDS, pyramid, surroundings
from calotype.codecs.fit.fitter import Fitter, Floats, Iteration
from calotype.codecs.fit.fitting import between, cold_start

SIDE = 256
CROPS = 20
FIRST, NEXT = 100, 40  # times that each crop is seen for the first class of lambda, and for each further one
ORDER = ((2, None), (1, 2), (0, 1), (3, 2))  # classes, and the class each goes on from
DECAY = 0.9, 0.99
RIDGE = 5e-5  # of least squares


class Adam:
    """Kingma and Ba 2015."""

    def __init__(self, size: int) -> None:
        self.first, self.second, self.count = np.zeros(size, np.float32), np.zeros(size, np.float32), 0

    def step(self, parameters: Floats, gradient: Floats, size: float) -> Floats:
        """The parameters after a step."""
        first, second = DECAY
        self.count += 1
        self.first += (1 - first) * (gradient - self.first)
        self.second += (1 - second) * (gradient * gradient - self.second)
        root = np.sqrt(self.second / (1 - second**self.count))
        moved: Floats = parameters - size / (1 - first**self.count) * self.first / (root + np.float32(1e-12))
        return moved


def crops(archives: list[Path], random: np.random.Generator) -> list[Floats]:
    """Crops of random pictures, in [0, 1]."""
    found = []
    for path in archives:
        with tarfile.open(path) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            for i in random.permutation(len(members))[: CROPS // len(archives)]:
                picture = PIL.Image.open(io.BytesIO(archive.extractfile(members[i]).read())).convert("RGB")  # type: ignore[union-attr]
                r, c = random.integers(0, picture.height - SIDE + 1), random.integers(0, picture.width - SIDE + 1)
                found.append(np.asarray(picture, np.float32)[r : r + SIDE, c : c + SIDE] / np.float32(255))
    return found


def learn(
    fitters: list[Fitter], parameters: Floats, lmbda: float, rounds: int, cold: bool, random: np.random.Generator
) -> Floats:
    """The networks after each picture was seen so many times; the fitters keep the latents."""
    adam = Adam(len(parameters))
    temperature, noise = ((0.3, 0.15), (0.2, 0.06)) if cold else ((0.2, 0.125), (0.12, 0.06))
    step, size = (0.2, 0.006) if cold else (0.1, 0.003)
    for done in range(rounds):
        share = done / rounds
        cosine = 0.5 + 0.5 * math.cos(math.pi * share)
        for i in random.permutation(len(fitters)):
            iteration = Iteration(
                lmbda,
                temperature=between(temperature, share),
                noise=between(noise, share),
                seed=int(random.integers(2**32)),
                step=step * cosine + 0.01,
                decay=DECAY,
                correction=(1 - DECAY[0] ** (done + 1), 1 - DECAY[1] ** (done + 1)),
                epsilon=5 * lmbda,
            )
            _, gradient = fitters[i].iterate(iteration, parameters)
            begins = min(1.0, (adam.count + 1) / 50)
            parameters = adam.step(parameters, gradient, size * cosine * begins + 2e-4)
    return parameters


def least_squares(pictures: list[Floats], latents: list[list[Floats]]) -> Floats:
    """The maps from pictures to latents: grids x numbers."""
    levels, maps = [pyramid(picture) for picture in pictures], []
    for k in range(GRIDS):
        some = slice(None, None, 5 if k == 0 else 1)
        rows = [surroundings(level, k, 0, level[k].shape[0]) for level in levels]
        x = np.concatenate([part.reshape(-1, part.shape[-1])[some] for part in rows]).astype(np.float64)
        y = np.concatenate([grids[k].ravel()[some] for grids in latents])
        ridge = RIDGE * len(y) * np.eye(x.shape[1])
        ridge[-1, -1] = 0
        maps.append(np.linalg.solve(x.T @ x + ridge, x.T @ y))
    return np.array(maps, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("to", type=Path)
    parser.add_argument("archives", type=Path, nargs="+", help="tar files of pictures")
    arguments = parser.parse_args()
    random = np.random.default_rng(7)
    pictures = crops(arguments.archives, random)
    found: dict[str, Floats] = {}
    for preset, numbers in PRESETS.items():
        architecture = Architecture(SIDE, SIDE, 3, GRIDS, *numbers)
        fitters = [Fitter(picture, architecture) for picture in pictures]
        kept: dict[int | None, tuple[Floats, list[list[Floats]]]] = {}
        for number, source in ORDER:
            parameters = cold_start(architecture, 0).parameters
            if source is not None:
                parameters, latents = kept[source]
                for fitter, grids in zip(fitters, latents, strict=True):
                    fitter.latents = grids
            rounds = FIRST if source is None else NEXT
            parameters = learn(fitters, parameters, CLASSES[number], rounds, source is None, random)
            kept[number] = parameters, [fitter.latents for fitter in fitters]
            name = "-".join(map(str, numbers)) + f".{number}"
            found[f"{name}.networks"] = parameters
            found[f"{name}.latents"] = least_squares(pictures, kept[number][1])
            print(preset, CLASSES[number], flush=True)
    np.savez_compressed(arguments.to, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
