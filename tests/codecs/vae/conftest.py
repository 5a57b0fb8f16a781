"""The small untrained `vae`, once for each file of tests."""

from __future__ import annotations

import pytest

from calotype.codec import Host
from calotype.codecs.vae.codec import VAECodec
from calotype.runtime.weights import Weights
from tests import specimens


@pytest.fixture(scope="module")
def weights() -> Weights:
    return specimens.weights("vae.small")


@pytest.fixture(scope="module")
def codec(weights: Weights) -> VAECodec:
    return VAECodec(Host(weights))
