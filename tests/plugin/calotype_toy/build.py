"""Tells cffi how to compile the kernel; a package names it in `cffi_modules` of its setup.py."""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent / "kernel"

ffibuilder = FFI()
ffibuilder.cdef("""
    void toy_differences(uint16_t *samples, size_t rows, size_t width, size_t channels);
    void toy_sums(uint16_t *samples, size_t rows, size_t width, size_t channels);
""")
ffibuilder.set_source(
    "calotype_toy._kernel",
    '#include "toy.h"',
    sources=[str(path) for path in sorted(HERE.glob("*.c"))],
    include_dirs=[str(HERE)],
    py_limited_api=True,
)
