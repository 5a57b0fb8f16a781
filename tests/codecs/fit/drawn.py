"""Networks and latents at random, as no fit would make them, but within what a file may hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calotype.codecs.fit.architecture import Architecture
from calotype.codecs.fit.network import GROUPS, Network, Rounded
from calotype.codecs.fit.rounding import tame

SPREAD = {"A1": 0.4, "A2": 0.4, "A3": 0.5, "L": 0.3, "taps": 0.4, "B1": 0.3, "B2": 0.2, "M": 0.1, "R1": 0.1, "R2": 0.1}


def drawn(architecture: Architecture, seed: int) -> tuple[Network, npt.NDArray[np.int16]]:
    """A network, and latents of which some are large."""
    random = np.random.default_rng(seed)
    parameters = random.standard_normal(architecture.parameters).astype(np.float32)
    for name, part in architecture.split(parameters).items():
        part *= np.float32(SPREAD.get(name, 0.2))
    tamed = tame(architecture, parameters)
    groups = {
        name: Rounded.of(architecture, tamed, name, int(random.integers(3, min(group.most, 11) + 1)))
        for name, group in GROUPS.items()
    }
    count = sum(int(np.prod(architecture.grid(k))) for k in range(architecture.grids))
    latents = np.rint(random.laplace(0, 1.5, count) * random.choice([1, 1, 1, 30], count))
    return Network.of(architecture, groups, int(random.integers(3, 11))), np.clip(latents, -255, 255).astype(np.int16)
