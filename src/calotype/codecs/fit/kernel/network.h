/* What decode.c gives to the loops that are compiled plain and for AVX2. */
#ifndef FIT_NETWORK_H
#define FIT_NETWORK_H

#include "decode.h"
#include "entropy.h"

enum {
    INPUTS_MAX = FIT_NEIGHBOURS_MAX + FIT_FEATURES_MAX,
    SUMS_MAX = 3,              /* blocks of 8: states, and what goes straight to mean and scale */
    ABOVE_MAX = 10,            /* pairs of inputs that are known before a row */
    BESIDE_MAX = 2,            /* and of those left of the latent */
    STATE_PAIRS_MAX = 16,
    MARGIN = 4,                /* beyond what neighbours and filters reach */
    PAD = 64,                  /* what loops over blocks may write beyond a row */
    MEAN_MAX = 64 * (FIT_LATENT_MAX - 1),
    LOG_SCALE_MAX = 5 << FIT_STATE_BITS,
};

/* (row, column) of the neighbours from the latent. */
static const signed char NEIGHBOURS[FIT_NEIGHBOURS_MAX][2] = {
    {0, -1}, {-1, 0}, {-1, -1}, {-1, 1}, {0, -2}, {-2, 0}, {-1, -2},
    {-1, 2}, {-2, -1}, {-2, 1}, {-2, -2}, {-2, 2}, {0, -3}, {-3, 0},
};

/* Where the parts of a network's numbers begin. */
typedef struct {
    const int32_t *features[FIT_FEATURE_GRIDS];
    const int32_t *first, *first_bias, *second, *second_bias, *last, *linear, *grid_bias, *taps;
    const int32_t *hidden, *hidden_bias, *output, *output_bias, *straight;
    const int32_t *residual[2], *residual_bias[2];
} parts;

parts fit_parts(const fit_shape *shape, const int32_t *numbers);

static inline int grid_height(const fit_shape *s, int k) { return (s->height + (1 << k) - 1) >> k; }
static inline int grid_width(const fit_shape *s, int k) { return (s->width + (1 << k) - 1) >> k; }

/* Rounding before a shift. */
static inline int32_t half_of(int shift) { return shift ? 1 << (shift - 1) : 0; }

typedef int code_grids(fit_coder *, const fit_shape *, const parts *, int16_t *);
code_grids fit_code_grids, fit_code_grids_avx2;
typedef int render(const fit_shape *, const parts *, const int16_t *, uint16_t *);
render fit_render_plain, fit_render_avx2;

#endif
