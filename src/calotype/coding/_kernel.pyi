"""Types of the compiled kernel; `kernel/calotype.h` says what the functions do."""

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

_Buffer: TypeAlias = bytes | bytearray | memoryview | npt.NDArray[np.generic]

class _Pointer(Protocol):
    def __add__(self, elements: int, /) -> _Pointer: ...

class _Ffi:
    NULL: _Pointer
    def new(self, cdecl: str, init: object = ...) -> Any: ...
    def from_buffer(self, cdecl: str, python_buffer: _Buffer, require_writable: bool = ...) -> _Pointer: ...

class _Lib:
    CALO_GUARDS: int
    CALO_NARROW: int
    CALO_WIDE: int
    CALO_LANES: int
    CALO_BAD_INDEX: int
    CALO_MIXTURE_SYMBOLS: int
    CALO_COMPONENTS: int
    CALO_SCALES: int
    CALO_LOGISTIC: int
    CALO_BITS: int
    CALO_BIT_PLACES: int
    CALO_BIT_CONSTANTS: int
    CALO_LISTS: int
    CALO_FRIENDS: int
    CALO_FEATURES: int
    CALO_SLOPES: int
    CALO_SIGNS: int
    CALO_SIGN_TABLES: int
    CALO_LEVELS: int
    CALO_COLUMNS: int
    CALO_REACH: int
    def calo_tables_build(
        self, set: _Pointer, frequencies: _Pointer, size: int, lengths: _Pointer, minimums: _Pointer, /
    ) -> int: ...
    def calo_places(
        self,
        set: _Pointer,
        symbols: _Pointer,
        index: _Pointer,
        n: int,
        places: _Pointer,
        escapes: _Pointer,
        capacity: int,
        escaped: _Pointer,
        /,
    ) -> int: ...
    def calo_encode(
        self,
        set: _Pointer,
        places: _Pointer,
        n: int,
        lanes: int,
        lane: int,
        states: _Pointer,
        words: _Pointer,
        position: int,
        /,
    ) -> int: ...
    def calo_decoder_open(self, decoder: _Pointer, data: _Pointer, size: int, /) -> int: ...
    def calo_decode(self, decoder: _Pointer, set: _Pointer, index: _Pointer, n: int, symbols: _Pointer, /) -> int: ...
    def calo_decoder_close(self, decoder: _Pointer, /) -> int: ...
    def calo_mixture_places(
        self, mixture: _Pointer, symbols: _Pointer, parameters: _Pointer, stride: int, n: int, places: _Pointer, /
    ) -> int: ...
    def calo_mixture_encode(
        self, places: _Pointer, n: int, lanes: int, lane: int, states: _Pointer, words: _Pointer, position: int, /
    ) -> int: ...
    def calo_mixture_decode(
        self, decoder: _Pointer, mixture: _Pointer, parameters: _Pointer, stride: int, n: int, symbols: _Pointer, /
    ) -> int: ...
    def calo_field_encode(
        self,
        field: _Pointer,
        parts: _Pointer,
        count: int,
        targets: _Pointer,
        symbols: _Pointer,
        index: _Pointer,
        places: _Pointer,
        placed: _Pointer,
        escapes: _Pointer,
        escaped: _Pointer,
        /,
    ) -> int: ...
    def calo_field_decode(
        self, field: _Pointer, parts: _Pointer, count: int, decoder: _Pointer, index: _Pointer, symbols: _Pointer, /
    ) -> int: ...
    def calo_field_portable(self, yes: bool, /) -> None: ...
    def calo_show(
        self,
        plane: _Pointer,
        height: int,
        width: int,
        top: int,
        left: int,
        rows: int,
        columns: int,
        taps: _Pointer,
        out: _Pointer,
        step: int,
        /,
    ) -> None: ...
    def calo_bits_encode(self, model: _Pointer, layer: _Pointer, out: _Pointer, room: int, /) -> int: ...
    def calo_bits_decode(self, model: _Pointer, layer: _Pointer, data: _Pointer, size: int, /) -> int: ...
    def calo_bits_learn(self, model: _Pointer, layer: _Pointer, /) -> None: ...
    def calo_crc32c_prepare(self) -> None: ...
    def calo_crc32c(self, crc: int, data: _Pointer, size: int, /) -> int: ...
    def calo_crc32c_portable(self, crc: int, data: _Pointer, size: int, /) -> int: ...

ffi: _Ffi
lib: _Lib
