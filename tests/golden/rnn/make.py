"""How the golden files of `rnn` were made: a small model that was taught what its bits are like, every mode."""

from dataclasses import replace
from pathlib import Path

from calotype.codecs.rnn.adapt import adapt
from calotype.codecs.rnn.freeze import freeze
from calotype.codecs.rnn.networks import RNN
from calotype.runtime.weights import Weights
from tests.codecs.rnn.specimen import SMALL, build
from tests.golden.making import SOURCE, add, load, texture

HERE = Path(__file__).parent
RECIPE = replace(
    SMALL, name="golden", source=SOURCE, surface_width=16, encoder=(16,), decoder=(16,), bits=16, iterations=10
)
MODES = [("grey", 1, 60), ("grey-alpha", 2, 20), ("rgb", 3, 100), ("rgba", 4, 40)]


def taught(model: RNN) -> bytes:
    """Weights with bits that are predicted as in other images."""
    return adapt(Weights(freeze(model), RECIPE.name), [texture(3)[::-1], texture(4)[..., 1:]])


if __name__ == "__main__":
    model = load(HERE / "golden.calow", "rnn.golden", lambda: build(RECIPE), taught, scale=0.0)
    for mode, channels, quality in MODES:
        add(HERE / f"{mode}.calo", model, texture(channels), quality=quality)
