/* Memory of one thread, laid out alike for all instruction sets. It is zero at first. */
#ifndef FIT_SCRATCH_H
#define FIT_SCRATCH_H

#include "model.h"

enum { TALL = 4, WIDE = 3 }; /* outputs and inputs whose gradient is in registers at a time */

static inline int up_to(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

/* --- of the context network ---------------------------------------------------------------------------------------- */

/* Positions of one row that lie in a block, `start` being the place of the first. */
typedef struct {
    int row, column, count, start;
} piece;

typedef struct {
    float x[INPUTS][BLOCK], first[INPUTS][BLOCK], second[INPUTS][BLOCK], third[2][BLOCK], y[BLOCK], bits[BLOCK];
    float d_third[2][BLOCK], d_second[INPUTS][BLOCK], d_first[INPUTS][BLOCK], dy[BLOCK], ones[BLOCK];
    float sums_first[INPUTS * (INPUTS + WIDE) * WIDEST], sums_second[INPUTS * (INPUTS + WIDE) * WIDEST];
    float sums_third[2 * (2 * INPUTS + WIDE) * WIDEST];
    piece pieces[BLOCK];
    int piece_count, count;
} context;

/* --- of the synthesis ---------------------------------------------------------------------------------------------- */

/* Rows that the backward pass works in, of the length of a ring's row. */
typedef struct {
    float *middle, *even, *odd, *back;
} up_scratch;

enum { TAPS_3X3 = 9, SHIFTED = TAPS_3X3 * CHANNELS };

typedef float *ring[RING][CHANNELS]; /* row r of the picture in place r % RING */

typedef struct {
    float *u[RING][GRIDS], *h[RING][HIDDEN], *dh[HIDDEN], *du[GRIDS];
    ring v, relu, v1, d_out, d_v1, d_relu;
    float *dv[CHANNELS], *spare[CHANNELS], *ones, *zeros;
    up_scratch up;
    float *sums_hidden, *sums_output, *sums_residual[2], *sums_taps;
    size_t sums; /* floats from sums_hidden on */
} synthesis;

static size_t row_floats(const fitter *f) { return (size_t)(LEFT + up_to(f->width, WIDE * WIDEST) + RIGHT); }

/* `count` floats more of the memory at `base`; NULL where they are only counted. */
static float *take(float *base, size_t *used, size_t count) {
    float *at = base ? base + *used : NULL;
    *used += count;
    return at;
}

static void take_rows(float *base, size_t *used, size_t stride, float **rows, int count) {
    for (int i = 0; i < count; i++) {
        float *row = take(base, used, stride);
        rows[i] = row ? row + LEFT : NULL;
    }
}

/* Lays rows and sums out in the memory at `base`, which is zero, and returns how many floats that takes. */
static size_t synthesis_lay(const fitter *f, synthesis *s, float *base) {
    const size_t stride = row_floats(f);
    const int k = f->grids, h = f->hidden, c = f->channels, residual = c * up_to(TAPS_3X3 * c + 1, WIDE);
    ring *rings[] = {&s->v, &s->relu, &s->v1, &s->d_out, &s->d_v1, &s->d_relu};
    float **alone[] = {&s->zeros, &s->ones, &s->up.middle, &s->up.even, &s->up.odd, &s->up.back};
    size_t used = 0;
    for (int i = 0; i < 6; i++) take_rows(base, &used, stride, alone[i], 1);
    for (int r = 0; r < RING; r++) {
        take_rows(base, &used, stride, s->u[r], k);
        take_rows(base, &used, stride, s->h[r], h);
        for (int i = 0; i < 6; i++) take_rows(base, &used, stride, (*rings[i])[r], c);
    }
    take_rows(base, &used, stride, s->dh, h);
    take_rows(base, &used, stride, s->du, k);
    take_rows(base, &used, stride, s->dv, c);
    take_rows(base, &used, stride, s->spare, c);
    const size_t rows = used;
    s->sums_hidden = take(base, &used, (size_t)(h * up_to(k + 1, WIDE) * WIDEST));
    s->sums_output = take(base, &used, (size_t)(c * up_to(h + k + 1, WIDE) * WIDEST));
    s->sums_residual[0] = take(base, &used, (size_t)(residual * WIDEST));
    s->sums_residual[1] = take(base, &used, (size_t)(residual * WIDEST));
    s->sums_taps = take(base, &used, 4 * WIDEST);
    s->sums = used - rows;
    return used;
}

#endif
