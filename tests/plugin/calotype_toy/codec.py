"""Integers and bytes of `toy`: each layer holds some bits of all samples, as differences along the rows, deflated."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from calotype.codec import Chunk, CodecInfo, Host, Payload
from calotype.errors import CorruptFile, UnsupportedFile
from calotype.image import Image, empty
from calotype.options import DecodeOptions, EncodeOptions

from . import INFO
from ._kernel import ffi, lib

LAYER = "L"

Samples = npt.NDArray[np.uint16]


class Toy:
    """The first layer is the upper half of each sample's bits, the second one the rest."""

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host) -> None:
        """Nothing is asked of the host: there are no weights, no networks, no other models."""

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        """Code the image."""
        low = image.depth // 2
        samples = image.pixels.astype(np.uint16)
        layers = samples >> low, samples & ((1 << low) - 1)
        chunks = tuple(Chunk(LAYER, zlib.compress(_differences(layer).astype("<u2").tobytes(), 9)) for layer in layers)
        return Payload(image.pixels.shape, image.depth, chunks)

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        """Decode as many layers as there are; without the second, samples are in the middle of what they may be.

        Raises
        ------
        CorruptFile, UnsupportedFile
            A layer is damaged, there are too many, or a chunk is of another kind.
        """
        if any(chunk.tag != LAYER for chunk in payload.chunks):
            raise UnsupportedFile("the file has a part that this version does not know")
        if not 1 <= len(payload.chunks) <= 2:
            raise CorruptFile(f"a file has 1 or 2 layers, not {len(payload.chunks)}")
        low = payload.depth // 2
        high, *rest = (_inflate(chunk.body, payload.shape) for chunk in payload.chunks)
        samples = high << low | (rest[0] if rest else (1 << low) // 2)
        if int(samples.max()) >> payload.depth:
            raise CorruptFile("a sample has too many bits")
        pixels = empty(payload.shape, payload.depth)
        pixels[:] = samples
        return Image(pixels, payload.depth)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        """Size of the payload in bits."""
        return self.encode(image, options).bits


def _inflate(body: bytes, shape: tuple[int, ...]) -> Samples:
    """Samples of a layer. Raises `CorruptFile`; never inflates beyond the image."""
    size = 2 * int(np.prod(shape))
    try:
        data = zlib.decompressobj().decompress(body, size + 1)
    except zlib.error as error:
        raise CorruptFile(f"damaged layer: {error}") from None
    if len(data) != size:
        raise CorruptFile("a layer has the wrong number of samples")
    return _sums(np.frombuffer(data, "<u2").astype(np.uint16).reshape(shape))


def _differences(samples: npt.NDArray[np.integer[Any]]) -> Samples:
    """Each sample less the one to its left, modulo 65536."""
    return _along_rows(lib.toy_differences, samples)


def _sums(differences: Samples) -> Samples:
    return _along_rows(lib.toy_sums, differences)


def _along_rows(function: Callable[..., None], samples: npt.NDArray[np.integer[Any]]) -> Samples:
    *_, width, channels = samples.shape
    result = np.array(samples, np.uint16, order="C")
    buffer = ffi.from_buffer("uint16_t[]", result, require_writable=True)
    function(buffer, result.size // (width * channels), width, channels)
    return result


CODEC = Toy
