"""Layers of bits, each predicted from the bits around it by a logistic regression that goes on learning.

A layer is (h, w, bits): at each place some bits, -1 or 1, coded place by place, row by row. What is known of a bit:

- those before it at its place,
- all at the places to the left, above, and to both sides of that one,
- of the layer before, all there, to the right and below; of the layer before that, all there.

Each bit of a place has a weight for everyone of these, in every layer its own. They follow the gradient of the code
length, bit by bit, alike in encoder and decoder, from where they were when coding other images.

Weights are integers and change by integers. What makes a probability of their sum are basic floating-point operations
in a fixed order (`kernel/numbers.h`), so it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile, Unsupported
from ._kernel import ffi, lib

MOST_BITS: int = lib.CALO_BITS
RATE = 2  # of learning, in 1/1024 of the gradient, where weights are at home already; from training tiles
RATES_BEFORE = 4, 2, 1  # and one after the other while they are brought there

Layer = npt.NDArray[np.int8]
"""(h, w, bits), each -1 or 1."""
Weights = npt.NDArray[np.int16]
"""(layers, bits, inputs), in 1/4096."""


def untaught(layers: int, bits: int) -> Weights:
    """Weights that predict nothing. Raises `Unsupported` if a place has more bits than the kernel takes."""
    if not 1 <= bits <= MOST_BITS:
        raise Unsupported(f"{bits} bits at a place; 1 to {MOST_BITS} can be coded")
    return np.zeros((layers, bits, bits * lib.CALO_BIT_PLACES + lib.CALO_BIT_CONSTANTS), np.int16)


def teach(weights: Weights, images: Iterable[Iterable[Layer]]) -> Weights:
    """Weights that have learned from the layers of some images, from the first layer on."""
    examples = [[np.ascontiguousarray(layer, np.int8) for layer in layers] for layers in images]
    for rate in RATES_BEFORE:
        for layers in examples:
            model = BitModel(layers[0].shape[0], layers[0].shape[1], weights, rate)
            for layer in layers:
                model.learn(layer)
            weights = model.weights
    return weights


class BitModel:
    """Codes the layers of one image one after the other, and learns from each."""

    def __init__(self, height: int, width: int, start: Weights, rate: int = RATE) -> None:
        """Prepare for layers (height, width, bits), as many as `start` has weights for; it is not changed."""
        self.weights = start.copy()
        self._shape = height, width, start.shape[1]
        self._rate = rate
        self._known: list[Layer] = []

    def encode(self, layer: Layer) -> bytes:
        """The stream of the next layer; its bits as they are if that is no longer."""
        layer = np.ascontiguousarray(layer, np.int8)
        plain = np.packbits(layer.ravel() > 0)
        out = np.empty_like(plain)
        size = lib.calo_bits_encode(self._kernel(), _at(layer), ffi.from_buffer("uint8_t[]", out), out.size)
        if size < 0:
            raise MemoryError("no memory for a stream of bits")
        self._known.append(layer)
        return (out[:size] if size < plain.size else plain).tobytes()

    def decode(self, stream: bytes) -> Layer:
        """The next layer. Raises `CorruptFile` if its stream is too short or too long."""
        count = int(np.prod(self._shape))
        if len(stream) == -(-count // 8):
            bits = np.unpackbits(np.frombuffer(stream, np.uint8), count=count).reshape(self._shape)
            layer = 2 * bits.astype(np.int8) - 1
            self.learn(layer)
            return layer
        layer = np.zeros(self._shape, np.int8)
        if lib.calo_bits_decode(self._kernel(), _at(layer), ffi.from_buffer("uint8_t[]", stream), len(stream)):
            raise CorruptFile("a layer of bits does not end where its stream does")
        self._known.append(layer)
        return layer

    def learn(self, layer: Layer) -> None:
        """Learn from the next layer, which is known already."""
        lib.calo_bits_learn(self._kernel(), _at(layer))
        self._known.append(layer)

    def _kernel(self) -> Any:
        """The kernel's view of the next layer."""
        number = len(self._known)
        earlier, before = [ffi.NULL, ffi.NULL, *map(_at, self._known[-2:])][-2:]
        height, width, bits = self._shape
        weights = ffi.from_buffer("int16_t[]", self.weights[number], require_writable=True)
        return ffi.new("calo_bits *", [height, width, bits, weights, self._rate, before, earlier])


def _at(layer: Layer) -> Any:
    return ffi.from_buffer("int8_t[]", layer)
