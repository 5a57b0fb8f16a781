"""Encoder, decoder and bit counter behind one method, so that a codec states its symbol program once.

    y = coder.code(y_or_none, tables, index)
    y = coder.code(y_or_none, mixture, parameters)

A stream is rANS (Duda 2013, arXiv:1311.2540; interleaved as in Giesen 2014, arXiv:1402.3392) with
32-bit states, 16-bit words, and 14-bit tables or 16-bit mixtures of logistics. `docs/reference/rans.md` and
`mixtures.md` there are the specification; in short:

    nothing at all                        if no symbol was coded, else
    flags     1 byte                      bit 0: 8 lanes instead of 1; bit 1: there are escapes
    size      LEB128    } if bit 1        bytes of the escapes that follow
    escapes   LEB128 ...}                 how far each escaped symbol lies outside its table
    states    lanes * 4 bytes             little endian, each >= 2**16
    words     2 bytes ...                 little endian, to the end

Symbol i of a stream, counted over all calls, belongs to lane i modulo lanes. Every state begins as 2**16 in
the encoder, so that the decoder must end there: that is its check against desynchronisation.
"""

from __future__ import annotations

import builtins
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import CorruptFile, Desync
from ._kernel import ffi, lib
from .rdoq import Targets
from .tables import Floats, Int32, int32
from .varint import write_varint

Integers = npt.NDArray[np.integer[Any]]
Given = Integers | Targets
"""What an encoder is given: symbols, or real values that the model rounds."""

LANES = lib.CALO_LANES
STATE_MIN = 1 << 16

# One lane flushes one state instead of eight, which is 14 bytes shorter and decodes at a fraction of the
# speed: worth it where 14 bytes are 0.1 % or more, unless there are many symbols.
_SMALL_BYTES = 16 << 10
_SMALL_SYMBOLS = 1 << 20

_FLAG_LANES = 1
_FLAG_ESCAPES = 2


class Model(Protocol):
    """What gives symbols their probabilities: `Tables`, a `Mixture`, or a `Step` of adaptive tables.

    A *place* is a range in those: a symbol's, or several of them, one after the other.
    """

    def symbols_shape(self, parameters: Int32) -> tuple[int, ...]: ...

    def locate(self, given: Any, parameters: Int32) -> tuple[Int32, npt.NDArray[np.uint32], bytes]: ...

    def place_bits(self, places: npt.NDArray[np.uint32]) -> Floats: ...

    def push(
        self, places: npt.NDArray[np.uint32], lanes: int, lane: int, states: Any, words: Any, position: int
    ) -> int: ...

    def pop(self, decoder: Any, parameters: Int32, symbols: Int32) -> int: ...


class Coder(Protocol):
    """What a codec's symbol program talks to: an `Encoder`, a `Decoder` or a `BitCounter`."""

    def code(self, symbols: Given | None, model: Model, parameters: Integers) -> Int32:
        """Code an array of symbols and return it.

        With `Tables`, `parameters` is the number of each symbol's table; with others, see there. `symbols` is None
        while decoding. Several calls, also with several models, make one stream.
        """
        ...


class Encoder:
    """Collects symbols and makes them a stream.

    Raises
    ------
    ValueError
        From `code`: shapes differ, a number does not fit 32 bits, or a parameter or a mixture's symbol is out of range.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Model, npt.NDArray[np.uint32]]] = []
        self._escapes: list[bytes] = []
        self._count = 0

    def code(self, symbols: Given | None, model: Model, parameters: Integers) -> Int32:
        """Take symbols; of any int32 value where outside of a table, which costs an escape and 1 to 5 bytes."""
        given, places, escapes = model.locate(_required(symbols), int32(parameters, "parameters"))
        if places.size:
            self._runs.append((model, places))
            self._escapes.append(escapes)
            self._count += places.size
        return given

    def finish(self) -> bytes:
        """Return the stream of all symbols so far."""
        if self._count == 0:
            return b""
        stream = self._encode(LANES)
        if len(stream) < _SMALL_BYTES and self._count <= _SMALL_SYMBOLS:
            stream = self._encode(1)
        return stream

    def _encode(self, lanes: int) -> bytes:
        states = np.full(LANES, STATE_MIN, dtype=np.uint32)
        words = np.empty(2 * self._count, dtype=np.uint8)
        position, end = words.size, self._count
        to = ffi.from_buffer("uint32_t[]", states), ffi.from_buffer("uint8_t[]", words)
        for model, places in reversed(self._runs):
            position = model.push(places, lanes, (end - 1) % lanes, *to, position)
            end -= places.size
        escapes = b"".join(self._escapes)
        flags = (_FLAG_LANES if lanes == LANES else 0) | (_FLAG_ESCAPES if escapes else 0)
        head = bytes([flags]) + (write_varint(len(escapes)) + escapes if escapes else b"")
        return b"".join((head, states[:lanes].astype("<u4").tobytes(), words[position:].data))


class Decoder:
    """Reads a stream back, in the calls and with the tables it was written with.

    Raises
    ------
    CorruptFile
        The stream is malformed or ends too early, or a parameter is out of range.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data  # the kernel's struct points into it
        self._kernel = ffi.new("calo_decoder *")
        if lib.calo_decoder_open(self._kernel, ffi.from_buffer("uint8_t[]", data), len(data)):
            raise CorruptFile("an entropy-coded stream has a malformed head")

    def code(self, symbols: Given | None, model: Model, parameters: Integers) -> Int32:
        """Return the next symbols, as many as `parameters` are for."""
        if symbols is not None:
            raise ValueError("a decoder is given None for symbols")
        parameters = int32(parameters, "parameters")
        decoded = np.empty(model.symbols_shape(parameters), dtype=np.int32)
        status = model.pop(self._kernel, parameters, decoded)
        if status:
            _refuse(status)
        return decoded

    def finish(self) -> None:
        """Check that the stream ends here.

        Raises
        ------
        Desync
            It does not: it was written with other tables, other calls, or is damaged.
        """
        if lib.calo_decoder_close(self._kernel):
            raise Desync("an entropy-coded stream did not end where it should; nothing of it can be trusted")


class BitCounter:
    """Counts what an encoder would write, without writing it."""

    def __init__(self) -> None:
        self.bits = 0.0
        """Ideal code length of the symbols so far by their models, escapes with their bytes."""
        self._count = 0
        self._escaped = 0

    def code(self, symbols: Given | None, model: Model, parameters: Integers) -> Int32:
        """Count symbols as `Encoder.code` takes them."""
        given, places, escapes = model.locate(_required(symbols), int32(parameters, "parameters"))
        self.bits += float(model.place_bits(places).sum()) + 8 * len(escapes)
        self._count += places.size
        self._escaped += len(escapes)
        return given

    def finish(self) -> builtins.bytes:
        """A stream of the size to expect, all zero: what stands for the real one in counting a file."""
        return bytes(round(self.bytes))

    @property
    def bytes(self) -> float:
        """Size of the stream to expect: the bits, and what the head and the states take beyond them."""
        if self._count == 0:
            return 0.0
        head = 1 + (len(write_varint(self._escaped)) if self._escaped else 0)
        ideal = self.bits / 8 + head
        small = ideal + 4 * LANES - 2 * LANES < _SMALL_BYTES and self._count <= _SMALL_SYMBOLS
        return ideal + (2 if small else 2 * LANES)  # a state's lower 16 bits carry no symbol


def _required(symbols: Given | None) -> Given:
    if symbols is None:
        raise ValueError("an encoder needs the symbols; only a decoder is given None")
    return symbols


def _refuse(status: int) -> NoReturn:
    if status == lib.CALO_BAD_INDEX:
        raise CorruptFile("an entropy-coded stream asks for a table or mixture that does not exist")
    raise CorruptFile("an entropy-coded stream is damaged or ends too early")
