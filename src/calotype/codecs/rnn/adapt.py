"""`calotype adapt`: what predicts a model's bits learns from images what these bits are like."""

from __future__ import annotations

from collections.abc import Iterable

from ...codec import Host
from ...coding.bits import teach, untaught
from ...image import Image, Pixels
from ...runtime.weights import Weights, pack_weights
from .codec import RNNCodec
from .recipe import START, TABLES
from .refine import Counter


def adapts(weights: Weights) -> bool:
    """Whether files depend on what the entropy coder begins with: here, from the first one on."""
    return True


def adapt(weights: Weights, images: Iterable[Pixels]) -> bytes:
    """The weights file with bits and coefficients predicted as in these images (h, w, 3), learned anew."""
    codec = RNNCodec(Host(weights))
    recipe, counter, codes = codec.recipe, Counter(), []
    for image in images:
        found, left = codec.analyse(Image.from_array(image), recipe.iterations, threads=0)
        codes.append(found)
        if left is not None:
            refinement = codec.refinement(found, threads=0)
            for _ in range(recipe.refinements):
                refinement.code(counter, left)
    arrays = {**weights.arrays, START: teach(untaught(recipe.networked, recipe.bits), codes)}
    if recipe.refinements:
        arrays |= {TABLES + name: array for name, array in counter.tables().to_arrays().items()}
    return pack_weights(weights.recipe, {name: weights.network(name) for name in weights.networks}, arrays)
