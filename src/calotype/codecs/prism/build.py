"""Tells cffi how to compile the kernel; run by setup.py, never imported by the package."""

from pathlib import Path

from cffi import FFI

HERE = Path("src/calotype/codecs/prism/kernel")  # setuptools wants sources relative to setup.py
SHARED = Path("src/calotype/coding/kernel")  # numbers.h, vectors.h

DECLARATIONS = """
    #define PRISM_CORRUPT ...
    #define PRISM_NO_MEMORY ...
    #define PRISM_EFFORTS ...
    #define PRISM_AHEAD ...
    typedef struct prism_plane prism_plane;
    prism_plane *prism_open(int width, int height, int depth, int low, int high, int references, int effort,
                            int bound, int grid, uint16_t *samples, const uint8_t *stream, size_t size);
    int prism_code(prism_plane *plane, const prism_plane *first, const prism_plane *second, int end);
    const uint8_t *prism_finish(prism_plane *plane, size_t *size);
    void prism_close(prism_plane *plane);
    void prism_portable(int yes);
"""

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "calotype.codecs.prism._kernel",
    '#include "prism.h"',
    sources=[path.as_posix() for path in sorted(HERE.glob("*.c"))],
    depends=[path.as_posix() for folder in (HERE, SHARED) for path in sorted(folder.glob("*.h"))],
    include_dirs=[HERE.as_posix(), SHARED.as_posix()],
    # No -march: wider instructions are chosen at run time. Contraction would give other floats, so other files.
    extra_compile_args=["-O3", "-std=c11", "-ffp-contract=off", "-Wno-psabi"],
    libraries=["m"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
