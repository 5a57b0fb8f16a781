"""How the golden files of `prism` were made: every mode, several efforts. `test_golden` makes the same bytes again.

Files with the digest 7474f18e are older than models without weights.
"""

from pathlib import Path

import calotype
from tests.golden.making import add, texture

HERE = Path(__file__).parent

if __name__ == "__main__":
    model = calotype.load("prism.photo")
    for channels, effort in [(1, 5), (2, 8), (3, 1), (3, 2), (3, 5), (4, 3), (3, 9)]:
        add(HERE / f"{channels}-effort-{effort}.calo", model, texture(channels), effort=effort)
