"""How the golden files of `nearlossless` were made: every mode, with bounds and without, and tiles kept as they are."""

from pathlib import Path
from unittest.mock import patch

from calotype.codecs.nearlossless import codec
from calotype.codecs.nearlossless.freeze import freeze
from calotype.codecs.nearlossless.networks import NearLossless
from calotype.codecs.nearlossless.recipe import Recipe
from tests.golden.making import SOURCE, add, load, texture

HERE = Path(__file__).parent
SMALL = Recipe(
    "golden-small", SOURCE, base=8, prior=8, coarse=4, fine=2, features=8, mixtures=2, level_mixtures=2
)  # fmt: skip


if __name__ == "__main__":
    small = load(HERE / "small.calow", "nearlossless.golden-small", lambda: NearLossless(SMALL), freeze, scale=0.01)
    with patch.object(codec, "_pack_exact", lambda pixels, below: None):  # untrained networks would not be chosen
        for channels, bound in ((1, 0), (1, 3), (2, 1), (3, 0), (3, 1), (3, 5), (4, 2)):
            add(HERE / f"{channels}-bound-{bound}.calo", small, texture(channels), max_error=bound)
    add(HERE / "3-drawn.calo", small, texture(3), max_error=1)
