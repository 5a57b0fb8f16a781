"""Makes `codecs/fit/weights/starts.npz`: `python tools/fit_starts.py starts.npz train/photos-0[01].tar`.

For each preset and class of lambda, one set of networks is fitted to crops of many pictures at once, each with latents
of its own; then least squares tell those latents from the pictures. About half an hour of one core.

The shipped file has the classes 1e-4 (but of `large`), 4e-4 and 1.6e-3 from an earlier recipe, as they measured better$
on Kodak: docs/explain/fit.md.
"""

from __future__ import annotations

import argparse
import io
import math
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image

from calotype.codecs.fit.architecture import PRESETS, Architecture
from calotype.codecs.fit.common import CLASSES, GRIDS, pyramid, surroundings
from calotype.codecs.fit.fitter import Fitter, Floats, Iteration
from calotype.codecs.fit.fitting import LATENT_DECAY, between, cold_start
from calotype.codecs.fit.soap import Soap

SIDE = 256
CROPS = 60
ROUNDS = 100  # times that each crop is seen
BATCH = 30  # crops whose mean gradient moves the networks
DECAY = 0.8, 0.9  # of the moments of SOAP
NETWORK_STEP, LATENT_STEP = 0.015, 0.2  # at first
TEMPERATURE, NOISE = (0.3, 0.15), (0.2, 0.15)  # at first and at last
RIDGE = 5e-5  # of least squares


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


def learn(fitters: list[Fitter], lmbda: float, random: np.random.Generator) -> Floats:
    """Networks for all pictures; the fitters keep the latents."""
    architecture = fitters[0].architecture
    parameters, optimiser = cold_start(architecture, 0).parameters, Soap(architecture, DECAY)
    for done in range(ROUNDS):
        share = done / ROUNDS
        cosine = 0.5 + 0.5 * math.cos(math.pi * share)
        for batch in random.permutation(len(fitters)).reshape(-1, BATCH):
            iteration = Iteration(
                lmbda,
                temperature=between(TEMPERATURE, share),
                noise=between(NOISE, share),
                step=LATENT_STEP * cosine + 0.005,
                decay=LATENT_DECAY,
                correction=(1 - LATENT_DECAY[0] ** (done + 1), 1 - LATENT_DECAY[1] ** (done + 1)),
                epsilon=5 * lmbda,
            )
            gradients = [
                fitters[i].iterate(replace(iteration, seed=int(random.integers(2**32))), parameters)[1] for i in batch
            ]
            begins = min(1.0, (optimiser.count + 1) / 30)
            parameters = optimiser.step(parameters, np.mean(gradients, 0), NETWORK_STEP * cosine * begins + 1e-4)
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
    pictures = crops(arguments.archives, np.random.default_rng(7))
    found: dict[str, Floats] = {}
    for preset, numbers in PRESETS.items():
        architecture = Architecture(SIDE, SIDE, 3, GRIDS, *numbers)
        for number, lmbda in enumerate(CLASSES):
            fitters = [Fitter(picture, architecture) for picture in pictures]
            name = "-".join(map(str, numbers)) + f".{number}"
            found[f"{name}.networks"] = learn(fitters, lmbda, np.random.default_rng(1))
            found[f"{name}.latents"] = least_squares(pictures, [fitter.latents for fitter in fitters])
            print(preset, lmbda, flush=True)
    np.savez_compressed(arguments.to, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
