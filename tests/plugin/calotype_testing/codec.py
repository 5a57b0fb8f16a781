"""`deflate`: divides samples by a step and deflates them. Real files, a real rate, nothing learned."""

from __future__ import annotations

import os
import time
import zlib
from typing import Any, ClassVar

import numpy as np

from calotype.codec import Chunk, CodecInfo, Host, Payload
from calotype.errors import CorruptFile, UnsupportedFile
from calotype.image import Image
from calotype.options import DecodeOptions, EncodeOptions

from . import INFO

FAULT, FAULTY = "CALOTYPE_TESTING_FAULT", 55  # the variable, and the quality at which it bites


def _raise() -> None:
    raise ZeroDivisionError("as was asked for")


_FAULTS: dict[str, Any] = {"none": int, "raise": _raise, "die": os.abort, "hang": lambda: time.sleep(3600)}


class CODEC:
    """Quality 100 is lossless; alpha always is; a bound on the error is kept.

    The weights file is one number, the coarsest step.
    """

    info: ClassVar[CodecInfo] = INFO

    def __init__(self, host: Host) -> None:
        self.coarsest = int(host.weights.data)

    def encode(self, image: Image, options: EncodeOptions) -> Payload:
        quality = 75.0 if options.quality is None else options.quality
        if quality == FAULTY:
            _FAULTS[os.environ.get(FAULT, "none")]()
        step = 1 + round((100 - quality) / 100 * (self.coarsest - 1))
        if options.max_error is not None:
            step = 2 * min(options.max_error, 127) + 1
        steps = self._steps(image.channels, step)
        symbols = (image.pixels + steps // 2) // steps
        body = zlib.compress(symbols.astype(image.pixels.dtype.newbyteorder("<")).tobytes(), 9)
        return Payload(image.pixels.shape, image.depth, (Chunk("S", bytes((step,))), Chunk("D", body)))

    def decode(self, payload: Payload, options: DecodeOptions) -> Image:
        if payload.wire_version is None or payload.wire_version < 2:
            raise UnsupportedFile("version 1 is forgotten")
        if unknown := {chunk.tag for chunk in payload.chunks} - {"S", "D"}:
            raise UnsupportedFile(f"unknown chunks {unknown}")
        bodies = {chunk.tag: chunk.body for chunk in payload.chunks}
        dtype = np.dtype("<u1" if payload.depth <= 8 else "<u2")
        largest = int(np.prod(payload.shape)) * dtype.itemsize
        try:
            (step,) = bodies["S"]
            data = zlib.decompressobj().decompress(bodies["D"], largest + 1)
        except (KeyError, ValueError, zlib.error) as error:
            raise CorruptFile(f"payload: {error!r}") from None
        if len(data) != largest:
            raise CorruptFile("wrong number of samples")
        symbols = np.frombuffer(data, dtype).reshape(payload.shape).astype(np.int64)
        values = symbols * self._steps(payload.shape[-1], step)
        pixels = np.minimum(values, (1 << payload.depth) - 1).astype(dtype.newbyteorder("="))
        return Image(np.ascontiguousarray(pixels), payload.depth)

    def count_bits(self, image: Image, options: EncodeOptions) -> float:
        return self.encode(image, options).bits

    @staticmethod
    def _steps(channels: int, step: int) -> np.ndarray:
        steps = np.full(channels, step, np.int64)
        if channels in (2, 4):
            steps[-1] = 1
        return steps
