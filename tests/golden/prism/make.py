"""How the golden files of `prism` were made: every mode, several efforts. `test_golden` makes the same bytes again.

Files with the digest 7474f18e are older than models without weights.
"""

from pathlib import Path

import numpy as np

import calotype
from tests.golden.making import add, texture

HERE = Path(__file__).parent

if __name__ == "__main__":
    model = calotype.load("prism.photo")
    for channels, effort in [(1, 5), (2, 8), (3, 1), (3, 2), (3, 5), (4, 3), (3, 9)]:
        add(HERE / f"{channels}-effort-{effort}.calo", model, texture(channels), effort=effort)
    noise = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    add(HERE / "3-stored-effort-5.calo", model, noise, effort=5)
