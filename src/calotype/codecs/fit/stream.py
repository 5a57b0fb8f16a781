"""The entropy coder of `fit` in Python's hands: one that writes, one that reads, one that counts bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import CorruptFile
from ._kernel import ffi, lib

Integers = npt.NDArray[np.int32]


class Stream:
    """Give it values to write or count them; what it returns are the values, read where it reads."""

    def __init__(self, data: bytes | None = None, counts: bool = False) -> None:
        self._data = data  # the kernel points into it
        buffer = ffi.NULL if data is None else ffi.from_buffer("uint8_t[]", data)
        coder = lib.fit_open(buffer, len(data or b""), int(counts))
        if coder == ffi.NULL:
            raise MemoryError("no memory for a stream")
        self.coder: Any = ffi.gc(coder, lib.fit_close)

    @classmethod
    def counter(cls) -> Stream:
        """One that counts bits by their ideal lengths."""
        return cls(counts=True)

    def bits(self, bits: int, value: int = 0) -> int:
        """A number of so many bits."""
        held = ffi.new("uint32_t[1]", [value])
        lib.fit_code_bits(self.coder, held, 1, bits)
        return int(held[0])

    def values(self, values: Integers, scale: int, limit: int) -> Integers:
        """Numbers around 0, -limit to limit, by a Laplace distribution."""
        held = np.array(values, np.int32, order="C")
        buffer = ffi.from_buffer("int32_t[]", held, require_writable=True)
        lib.fit_code_values(self.coder, buffer, held.size, scale, limit)
        return held

    @property
    def count(self) -> float:
        """Bits counted so far."""
        return float(lib.fit_bits(self.coder))

    def finish(self) -> bytes:
        """The stream that was written. Of one that was read: raises `CorruptFile` unless it ended where it should."""
        size = ffi.new("size_t *")
        data = lib.fit_finish(self.coder, size)
        if self._data is not None:
            if data == ffi.NULL or size[0]:
                raise CorruptFile("a tile's stream is longer or shorter than its latents")
            return b""
        if data == ffi.NULL and size[0]:
            raise MemoryError("no memory for a stream")
        return bytes(ffi.buffer(data, size[0])) if size[0] else b""
