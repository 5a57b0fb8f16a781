"""How the golden files of `fit` were made. Fitting is floats, so that only decoding them is the same everywhere."""

from pathlib import Path

import calotype
from tests.golden.making import add, texture

HERE = Path(__file__).parent

if __name__ == "__main__":
    model = calotype.load("fit.photo")
    for name, channels in (("grey", 1), ("grey-alpha", 2), ("rgb", 3), ("rgba", 4)):
        add(HERE / f"{name}.calo", model, texture(channels), quality=50, effort=1, threads=1)
    add(HERE / "rgb-large.calo", model, texture(3), quality=100, effort=1, threads=1)
