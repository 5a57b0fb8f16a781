"""Types of the compiled kernel; `kernel/prism.h` says what the functions do."""

from typing import Any

class _Ffi:
    NULL: Any
    def new(self, cdecl: str) -> Any: ...
    def gc(self, cdata: Any, destructor: Any) -> Any: ...
    def from_buffer(self, cdecl: str, python_buffer: Any, require_writable: bool = ...) -> Any: ...
    def buffer(self, cdata: Any, size: int) -> Any: ...

class _Lib:
    PRISM_CORRUPT: int
    PRISM_NO_MEMORY: int
    PRISM_EFFORTS: int
    PRISM_AHEAD: int
    prism_close: Any
    def prism_open(
        self,
        width: int,
        height: int,
        depth: int,
        low: int,
        high: int,
        references: int,
        effort: int,
        bound: int,
        grid: int,
        samples: Any,
        stream: Any,
        size: int,
        /,
    ) -> Any: ...
    def prism_code(self, plane: Any, first: Any, second: Any, end: int, /) -> int: ...
    def prism_finish(self, plane: Any, size: Any, /) -> Any: ...
    def prism_portable(self, yes: int, /) -> None: ...

ffi: _Ffi
lib: _Lib
