"""Fits the adaptive tables of a weights file to images: what its coder begins with (`coding.fitting`)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...codec import Host
from ...coding import BitCounter
from ...coding.adaptive import Part
from ...coding.coder import Given, Integers, Model
from ...coding.fitting import Coded, fit
from ...coding.tables import Int32
from ...errors import Unsupported
from ...image import Image, Pixels
from ...options import EncodeOptions
from ...runtime.weights import Weights, pack_weights
from .cells import parts_of
from .codec import ADAPTIVE, CELL, FILTER_EFFORT, VAECodec
from .recipe import Recipe
from .scales import SIGMA_COUNT, SIGMA_MAX, SIGMA_MIN

ROUNDS = 2  # tables decide how latents are rounded, and those decide tables
QUALITY_STRIDE = 37  # has no factor in common with 101: qualities follow one another in no order


def adapt(weights: Weights, tiles: Iterable[Pixels]) -> bytes:
    """The weights file with adaptive tables that are fitted to images (h, w, 3), each coded at another rate.

    Raises
    ------
    Unsupported
        The recipe's latents have no tables that a network chooses.
    """
    recipe = Recipe.from_dict(weights.recipe, weights.name)
    if recipe.prior != "gaussian":
        raise Unsupported(f"{weights.name}: only latents with a predicted width are coded adaptively")
    networks = {name: weights.network(name) for name in weights.networks}
    plain = {name: array for name, array in weights.arrays.items() if not name.startswith(ADAPTIVE)}
    images = [Image.from_array(tile) for tile in tiles]
    adapted = pack_weights(weights.recipe, networks, plain)
    for _ in range(ROUNDS):
        found = fit(_code(adapted, recipe, images), CELL, np.geomspace(SIGMA_MIN, SIGMA_MAX, SIGMA_COUNT))
        arrays = {ADAPTIVE + name: array for name, array in found.to_arrays().items()}
        adapted = pack_weights(weights.recipe, networks, plain | arrays)
    return adapted


def adapts(weights: Weights) -> bool:
    """Whether a weights file has adaptive tables."""
    return any(name.startswith(ADAPTIVE) for name in weights.arrays)


def _code(data: bytes, recipe: Recipe, images: list[Image]) -> list[list[Coded]]:
    """The latents of each tile as they are coded."""
    codec = VAECodec(Host(Weights(data, recipe.name)))
    steps = recipe.context_steps
    parts = [tuple(Part(*part) for part in parts_of(recipe.latents, step, steps)) for step in range(steps)]
    recorders: list[_Recorder] = []
    for number, image in enumerate(images):
        quality = number * QUALITY_STRIDE % 101 if recipe.variable_rate else None
        codec.code(image, EncodeOptions(quality, effort=FILTER_EFFORT - 1), lambda: _Recorder(recorders))
    return [[Coded(*call) for call in zip(parts, *recorder.latents, strict=True)] for recorder in recorders]


class _Recorder:
    """A coder that keeps what it is given, of one tile; it adds itself to a list."""

    def __init__(self, all_of_them: list[_Recorder]) -> None:
        all_of_them.append(self)
        self._counter = BitCounter()
        self._calls: list[tuple[Integers, Integers]] = []

    def code(self, symbols: Given | None, model: Model, parameters: Integers) -> Int32:
        coded = self._counter.code(symbols, model, parameters)
        self._calls.append((coded.astype(np.int16), parameters.astype(np.uint8)))
        return coded

    def finish(self) -> bytes:
        return b""

    @property
    def latents(self) -> tuple[list[Integers], list[Integers]]:
        """Symbols and indices of each step; hyper-latents came before."""
        symbols, indices = zip(*self._calls[1:], strict=True)
        return list(symbols), list(indices)
