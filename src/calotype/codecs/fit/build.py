"""Tells cffi how to compile the kernel; run by setup.py, never imported by the package."""

from pathlib import Path

from cffi import FFI

HERE = Path("src/calotype/codecs/fit/kernel")  # setuptools wants sources relative to setup.py
SHARED = Path("src/calotype/coding/kernel")  # coder.h

DECLARATIONS = """
    #define FIT_OK ...
    #define FIT_CORRUPT ...
    #define FIT_NO_MEMORY ...
    #define FIT_SIDE_MAX ...
    typedef struct {
        int height, width, channels, grids, neighbours, features, hidden;
        int depth;
        int state_bits;
        int hidden_shift, output_shift, residual_shift;
    } fit_shape;
    typedef struct fit_coder fit_coder;
    size_t fit_number_count(const fit_shape *shape);
    size_t fit_latent_count(const fit_shape *shape);
    int fit_check(const fit_shape *shape, const int32_t *numbers);
    fit_coder *fit_open(const uint8_t *stream, size_t size, int count);
    void fit_close(fit_coder *coder);
    void fit_code_bits(fit_coder *coder, uint32_t *values, int count, int bits);
    void fit_code_values(fit_coder *coder, int32_t *values, size_t count, int scale, int limit);
    int fit_code_latents(fit_coder *coder, const fit_shape *shape, const int32_t *numbers, int16_t *latents);
    double fit_bits(const fit_coder *coder);
    const uint8_t *fit_finish(fit_coder *coder, size_t *size);
    int fit_render(const fit_shape *shape, const int32_t *numbers, const int16_t *latents, uint16_t *pixels);
    void fit_portable(int yes);
"""

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "calotype.codecs.fit._kernel",
    '#include "decode.h"',
    sources=[path.as_posix() for path in sorted(HERE.glob("*.c"))],
    depends=[path.as_posix() for folder in (HERE, SHARED) for path in sorted(folder.glob("*.h"))],
    include_dirs=[HERE.as_posix(), SHARED.as_posix()],
    extra_compile_args=["-O3", "-std=c11", "-ffp-contract=off", "-Wno-psabi"],
    libraries=["m"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
