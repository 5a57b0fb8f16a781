"""`fit` needs no weights, so it has no specimen but itself."""

from __future__ import annotations

import pytest

from calotype.codecs.fit import codec

RECIPES: dict[str, None] = {}


def hasten(patch: pytest.MonkeyPatch) -> None:
    """A twelfth of the iterations, or less."""
    patch.setattr(codec, "ITERATIONS", {effort: steps // 12 for effort, steps in codec.ITERATIONS.items()})
    patch.setattr(codec, "AS_MANY", dict.fromkeys(codec.AS_MANY, 1))
    patch.setattr(codec, "CONTINUED_LEAST", codec.CONTINUED_LEAST // 12)
