"""Tells cffi how to compile the kernel; run by setup.py, never imported by the package."""

from pathlib import Path

from cffi import FFI

HERE = Path("src/calotype/codecs/fit/kernel")  # setuptools wants sources relative to setup.py
SHARED = Path("src/calotype/coding/kernel")  # coder.h, numbers.h, vectors.h

ENCODE = """
    #define FITTER_LATENT_MAX ...
    typedef struct fitter fitter;
    typedef struct {
        float lmbda;
        float hard;
        float temperature;
        float noise;
        uint32_t seed;
        float step;
        float decay[2];
        float correction[2];
        float epsilon;
        int stride;
        int only_loss;
    } fitter_settings;
    typedef struct {
        double bits;
        double error;
    } fitter_loss;
    fitter *fitter_open(int height, int width, int channels, int grids, int neighbours, int features, int hidden,
                        const int8_t *offsets);
    void fitter_aim(fitter *f, const float *picture, const float *weight);
    int fitter_iterate(fitter *f, const fitter_settings *settings, const float *parameters, float *gradient,
                       fitter_loss *loss, int threads);
    void fitter_read(const fitter *f, int grid, float *latents);
    void fitter_write(fitter *f, int grid, const float *latents);
    void fitter_rounded(const fitter *f, int grid, float *latents);
    void fitter_gradient(const fitter *f, int grid, float *gradient);
    void fitter_bits(const fitter *f, int grid, float *bits);
    void fitter_output(const fitter *f, int channel, float *samples);
    void fitter_errors(const fitter *f, float *errors);
    void fitter_close(fitter *f);
    void fitter_widest(int level);
"""

DECODE = """
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
ffibuilder.cdef(ENCODE + DECODE)
ffibuilder.set_source(
    "calotype.codecs.fit._kernel",
    '#include "encode.h"\n#include "decode.h"',
    sources=[path.as_posix() for path in sorted(HERE.glob("*.c"))],
    depends=[path.as_posix() for folder in (HERE, SHARED) for path in sorted(folder.glob("*.h"))],
    include_dirs=[HERE.as_posix(), SHARED.as_posix()],
    # No -march: wider instructions are chosen at run time. Only fitting computes with floats:
    # they may be contracted.
    extra_compile_args=["-O3", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-pthread", "-Wno-psabi"],
    extra_link_args=["-pthread"],
    libraries=["m"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
