"""Types of the compiled kernel; `kernel/*.h` say what the functions do."""

from typing import Any

class _Ffi:
    NULL: Any
    def new(self, cdecl: str, init: Any = ...) -> Any: ...
    def gc(self, cdata: Any, destructor: Any) -> Any: ...
    def from_buffer(self, cdecl: str, python_buffer: Any, require_writable: bool = ...) -> Any: ...

class _Lib:
    FITTER_LATENT_MAX: int
    fitter_close: Any
    def fitter_open(
        self,
        height: int,
        width: int,
        channels: int,
        grids: int,
        neighbours: int,
        features: int,
        hidden: int,
        offsets: Any,
        picture: Any,
        /,
    ) -> Any: ...
    def fitter_iterate(
        self, fitter: Any, settings: Any, parameters: Any, gradient: Any, loss: Any, threads: int, /
    ) -> int: ...
    def fitter_read(self, fitter: Any, grid: int, latents: Any, /) -> None: ...
    def fitter_write(self, fitter: Any, grid: int, latents: Any, /) -> None: ...
    def fitter_gradient(self, fitter: Any, grid: int, gradient: Any, /) -> None: ...
    def fitter_rounded(self, fitter: Any, grid: int, latents: Any, /) -> None: ...
    def fitter_widest(self, level: int, /) -> None: ...

ffi: _Ffi
lib: _Lib
