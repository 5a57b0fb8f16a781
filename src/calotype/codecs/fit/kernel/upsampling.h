/* Doubling of rows and columns by a symmetric filter of 8 taps, row by row, forward and backward. */
#ifndef FIT_UPSAMPLING_H
#define FIT_UPSAMPLING_H

#include "layers.h"

/* Taps of an even and of an odd row, for the rows row / 2 - 2 + (row & 1) and on. */
static const int TAPS[2][4] = {{0, 2, 3, 1}, {1, 3, 2, 0}};

static const float *source_row(const plane *p, int row) {
    return row_of(p, row < 0 ? 0 : row < p->height ? row : p->height - 1);
}

/* Columns beside a row repeat its ends. */
static void repeat_ends(float *row, int width) {
    for (int c = 1; c <= LEFT; c++) row[-c] = row[0];
    for (int c = 0; c < LEFT; c++) row[width + c] = row[width - 1];
}

/* One row of the height of the result and the width of `from`, with columns beside it. */
static void up_vertical(const plane *from, int row, const float *taps, float *to) {
    const int first = (row >> 1) - 2 + (row & 1), *t = TAPS[row & 1];
    const float *a = source_row(from, first), *b = source_row(from, first + 1);
    const float *c = source_row(from, first + 2), *d = source_row(from, first + 3);
    for (int n = -LEFT; n < from->width + 4; n += LANES)
        store(to + n, taps[t[0]] * load(a + n) + taps[t[1]] * load(b + n) + taps[t[2]] * load(c + n) +
                          taps[t[3]] * load(d + n));
}

static void up_row(const plane *from, int row, const float *taps, float *middle, float *to) {
    up_vertical(from, row, taps, middle);
    const lanes t0 = splat(taps[0]), t1 = splat(taps[1]), t2 = splat(taps[2]), t3 = splat(taps[3]);
    for (int n = 0; n < from->width; n += LANES) {
        const float *x = middle + n;
        const lanes a = load(x - 2), b = load(x - 1), c = load(x), d = load(x + 1), e = load(x + 2);
        zip(to + 2 * n, t0 * a + t2 * b + t3 * c + t1 * d, t1 * b + t3 * c + t2 * d + t0 * e);
    }
}

/* The gradient `d_to` of a row, which is zero beyond its width, goes to `d_from`, that of the taps to sums [4][LANES]. */
static void up_row_back(const plane *from, plane *d_from, int row, const float *taps, const float *d_to,
                        const up_scratch *s, float *sums) {
    const int width = from->width;
    const lanes t0 = splat(taps[0]), t1 = splat(taps[1]), t2 = splat(taps[2]), t3 = splat(taps[3]);
    lanes g0 = load(sums), g1 = load(sums + LANES), g2 = load(sums + 2 * LANES), g3 = load(sums + 3 * LANES);
    up_vertical(from, row, taps, s->middle);
    for (int n = 0; n < width; n += LANES) {
        const float *x = s->middle + n;
        const lanes a = load(x - 2), b = load(x - 1), c = load(x), d = load(x + 1), e = load(x + 2);
        lanes even, odd;
        unzip(d_to + 2 * n, &even, &odd);
        store(s->even + n, even);
        store(s->odd + n, odd);
        g0 += even * a + odd * e;
        g1 += even * d + odd * b;
        g2 += even * b + odd * d;
        g3 += even * c + odd * c;
    }
    for (int n = up_to(width, LANES); n < width + LEFT; n += LANES) {
        store(s->even + n, splat(0));
        store(s->odd + n, splat(0));
    }
    float *back = s->back;
    for (int n = -LANES; n < width + 2; n += LANES) {
        const float *even = s->even + n, *odd = s->odd + n;
        store(back + n, t0 * (load(even + 2) + load(odd - 2)) + t1 * (load(even - 1) + load(odd + 1)) +
                            t2 * (load(even + 1) + load(odd - 1)) + t3 * (load(even) + load(odd)));
    }
    const float before = back[-1] + back[-2], after = back[width] + back[width + 1];
    back[0] += before;
    back[width - 1] += after;
    for (int n = width; n < up_to(width, LANES); n++) back[n] = 0;
    const int first = (row >> 1) - 2 + (row & 1), *t = TAPS[row & 1];
    lanes *g[4] = {&g0, &g1, &g2, &g3};
    for (int i = 0; i < 4; i++) {
        const float *x = source_row(from, first + i);
        float *dx = (float *)source_row(d_from, first + i);
        lanes sum = splat(0);
        for (int n = 0; n < width; n += LANES) {
            const lanes b = load(back + n);
            sum += b * load(x + n);
            store(dx + n, load(dx + n) + taps[t[i]] * b);
        }
        *g[t[i]] += sum;
    }
    store(sums, g0), store(sums + LANES, g1), store(sums + 2 * LANES, g2), store(sums + 3 * LANES, g3);
}

/* --- a channel from its grid to half the size of the picture -------------------------------------------------------- */

static void chain_forward(fitter *f, const job *j, const up_scratch *s) {
    const int k = j->grid;
    for (int l = k; l >= 1; l--) {
        plane *to = &f->up[k][l], *gradient = &f->up_gradient[k][l];
        for (int r = 0; r < to->height; r++) {
            if (l == k)
                memcpy(row_of(to, r), row_of(&f->grid[k].rounded, r), (size_t)to->width * sizeof(float));
            else
                up_row(to + 1, r, f->parameters + f->places.taps + 4 * l, s->middle, row_of(to, r));
            repeat_ends(row_of(to, r), to->width);
            memset(row_of(gradient, r) - LEFT, 0, (size_t)gradient->stride * sizeof(float));
        }
    }
}

static void chain_backward(fitter *f, job *j, const up_scratch *s) {
    const int k = j->grid;
    for (int l = 1; l < k; l++) {
        float sums[4 * LANES] = {0};
        plane *from = &f->up[k][l], *gradient = &f->up_gradient[k][l];
        for (int r = 0; r < from->height; r++)
            up_row_back(from + 1, gradient + 1, r, f->parameters + f->places.taps + 4 * l, row_of(gradient, r), s, sums);
        for (int i = 0; i < 4; i++) j->gradient[f->places.taps + 4 * l + i] = total(sums + i * LANES);
    }
}

#endif
