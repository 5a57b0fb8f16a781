"""`calotype adapt`: what predicts a model's bits learns from images what these bits are like."""

from __future__ import annotations

from collections.abc import Iterable

from ...codec import Host
from ...coding.bits import teach, untaught
from ...image import Image, Pixels
from ...runtime.weights import Weights, pack_weights
from .codec import RNNCodec
from .recipe import START


def adapts(weights: Weights) -> bool:
    """Whether files depend on what the entropy coder begins with: here, from the first one on."""
    return True


def adapt(weights: Weights, images: Iterable[Pixels]) -> bytes:
    """The weights file with bits that are predicted as in these images (h, w, 3), learned anew."""
    codec = RNNCodec(Host(weights))
    recipe = codec.recipe
    codes = (codec.analyse(Image.from_array(image), recipe.iterations, threads=0) for image in images)
    start = teach(untaught(recipe.iterations, recipe.bits), codes)
    networks = {name: weights.network(name) for name in weights.networks}
    return pack_weights(weights.recipe, networks, {**weights.arrays, START: start})
