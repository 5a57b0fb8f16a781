"""How the golden files of `prism` were made: every mode, several efforts. `test_golden` makes the same bytes again.

Files with the digest 7474f18e are older than models without weights.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import calotype
from tests.golden.making import add, texture

HERE = Path(__file__).parent


def with_a_bound() -> Iterator[tuple[str, np.ndarray, dict[str, int]]]:
    """Name, pixels and options of the files with a bound on the error; beside them lies what they decode to."""
    for channels, effort, bound in [(1, 8, 2), (3, 5, 1), (4, 1, 3), (4, 5, 9)]:
        name = f"{channels}-bound-{bound}-effort-{effort}"
        yield name, texture(channels), {"effort": effort, "max_error": bound}
    lattice = texture(3) // 3 * 3
    lattice[0] = np.arange(3 * 90).reshape(90, 3) % 256  # values off the lattice, so that it takes a bound to use it
    yield "3-grid-bound-1-effort-7", lattice, {"effort": 7, "max_error": 1}


if __name__ == "__main__":
    model = calotype.load("prism.photo")
    for channels, effort in [(1, 5), (2, 8), (3, 1), (3, 2), (3, 5), (4, 3), (3, 9)]:
        add(HERE / f"{channels}-effort-{effort}.calo", model, texture(channels), effort=effort)
    noise = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    add(HERE / "3-stored-effort-5.calo", model, noise, effort=5)
    for name, pixels, options in with_a_bound():
        add(HERE / f"{name}.calo", model, pixels, **options)
