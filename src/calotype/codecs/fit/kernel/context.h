/* The context network, forward and backward, BLOCK positions at a time. */
#ifndef FIT_CONTEXT_H
#define FIT_CONTEXT_H

#include "layers.h"

/* The next positions from (*row, *column) on, up to row `last`. */
static void take_pieces(context *s, int width, int last, int *row, int *column) {
    s->piece_count = s->count = 0;
    while (s->count < BLOCK && *row < last) {
        const int left = width - *column, room = BLOCK - s->count, count = left < room ? left : room;
        s->pieces[s->piece_count++] = (piece){*row, *column, count, s->count};
        s->count += count;
        *column += count;
        if (*column == width) *column = 0, ++*row;
    }
}

/* --- into a block and back ----------------------------------------------------------------------------------------- */

/* Each number of a coarser row is seen by two positions. */
static void double_columns(float *to, const float *coarse, int column, int count) {
    int n = 0;
    if (column & 1 && count) to[n++] = coarse[column++ >> 1];
    for (; n + 2 * LANES <= count; n += 2 * LANES, column += 2 * LANES) {
        const lanes x = load(coarse + (column >> 1));
        zip(to + n, x, x);
    }
    for (; n < count; n++) to[n] = coarse[column++ >> 1];
}

static void add_halved(float *coarse, const float *from, int column, int count) {
    int n = 0;
    if (column & 1 && count) coarse[column++ >> 1] += from[n++];
    for (; n + 2 * LANES <= count; n += 2 * LANES, column += 2 * LANES) {
        lanes a, b;
        unzip(from + n, &a, &b);
        float *to = coarse + (column >> 1);
        store(to, load(to) + (a + b));
    }
    for (; n < count; n++) coarse[column++ >> 1] += from[n];
}

static void add(float *restrict to, const float *restrict from, int count) {
    for (int n = 0; n < count; n++) to[n] += from[n];
}

static void gather(const fitter *f, int k, context *s) {
    for (const piece *p = s->pieces; p < s->pieces + s->piece_count; p++) {
        const float *y = row_of(&f->grid[k].rounded, p->row) + p->column;
        const int stride = f->grid[k].rounded.stride;
        const size_t bytes = (size_t)p->count * sizeof(float);
        memcpy(s->y + p->start, y, bytes);
        for (int i = 0; i < f->neighbours; i++)
            memcpy(s->x[i] + p->start, y + f->offsets[i][0] * stride + f->offsets[i][1], bytes);
        for (int i = 0; i < f->features; i++) {
            float *to = s->x[f->neighbours + i] + p->start;
            if (k < FEATURE_GRIDS)
                double_columns(to, row_of(&f->feature[k][i][k + 1], p->row >> 1), p->column, p->count);
            else
                memset(to, 0, bytes);
        }
    }
}

static void keep_bits(fitter *f, int k, const context *s) {
    for (const piece *p = s->pieces; p < s->pieces + s->piece_count; p++)
        memcpy(row_of(&f->grid[k].bits, p->row) + p->column, s->bits + p->start, (size_t)p->count * sizeof(float));
}

static void scatter(fitter *f, int k, const context *s, float (*dx)[BLOCK]) {
    for (const piece *p = s->pieces; p < s->pieces + s->piece_count; p++) {
        float *dy = row_of(&f->grid[k].gradient, p->row) + p->column;
        const int stride = f->grid[k].gradient.stride;
        add(dy, s->dy + p->start, p->count);
        for (int i = 0; i < f->neighbours; i++)
            add(dy + f->offsets[i][0] * stride + f->offsets[i][1], dx[i] + p->start, p->count);
        for (int i = 0; i < f->features && k < FEATURE_GRIDS; i++)
            add_halved(row_of(&f->feature_gradient[k][i][k + 1], p->row >> 1), dx[f->neighbours + i] + p->start,
                       p->column, p->count);
    }
}

/* --- rate ---------------------------------------------------------------------------------------------------------- */

/* With a = |y - mu|, i = e^-s, e = exp(-|a - 1/2| i), g = exp(-(a + 1/2) i), the probability of the bin of width 1 is
   (e - g) / 2 where a >= 1/2, else 1 - (e + g) / 2. In both cases its slope by a is (g - e) i / 2, and by s it is
   (e (a - 1/2) - g (a + 1/2)) i / 2. Returns the sum of bits; the loss's slopes go to dy and d_third. */
static double laplace(context *s, float lmbda) {
    lanes sum = splat(0), place;
    for (int l = 0; l < LANES; l++) place[l] = (float)l;
    for (int n = 0; n < s->count; n += LANES, place += (float)LANES) {
        const lanes z = load(s->y + n) - load(s->third[0] + n), raw = load(s->third[1] + n);
        const lanes scale = choose(raw > 5.0f, splat(5), choose(raw < -5.0f, splat(-5), raw));
        const lanes a = lanes_magnitude(z), inverse = exponential(-scale), over = a - 0.5f, under = a + 0.5f;
        const lanes e = exponential(-lanes_magnitude(over) * inverse), g = exponential(-under * inverse);
        const lanes p = choose(over >= 0.0f, 0.5f * (e - g), 1.0f - 0.5f * (e + g));
        const masks inside = place < (float)s->count, live = inside & (p > 0x1p-16f);
        const lanes bits = choose(inside, -binary_logarithm(lanes_most(p, splat(0x1p-16f))), splat(0));
        sum += bits;
        store(s->bits + n, bits);
        const lanes by = choose(live, -1.44269504f * 0.5f * lmbda / p * inverse, splat(0));
        const lanes by_a = by * (g - e);
        const lanes by_y = (lanes)((masks)by_a ^ ((masks)z & (int)0x80000000));
        store(s->dy + n, by_y);
        store(s->d_third[0] + n, -by_y);
        store(s->d_third[1] + n, choose((raw == scale), by * (e * over - g * under), splat(0)));
    }
    float sums[LANES];
    store(sums, sum);
    double bits = 0;
    for (int l = 0; l < LANES; l++) bits += sums[l];
    return bits;
}

/* --- one block ------------------------------------------------------------------------------------------------------ */

/* Lists of rows: what the layers of a block read and write. */
typedef struct {
    float *x[2 * INPUTS + WIDE], *first[INPUTS + WIDE], *second[2 * INPUTS + WIDE];
    float *third[2], *d_third[2], *d_second[INPUTS], *d_first[INPUTS + 2];
} rows;

static void list_rows(const fitter *f, context *s, rows *r) {
    const int d = f->inputs;
    for (int i = 0; i < d; i++) {
        r->x[i] = r->second[d + i] = s->x[i];
        r->first[i] = s->first[i];
        r->second[i] = s->second[i];
        r->d_second[i] = s->d_second[i];
        r->d_first[i] = s->d_first[i];
    }
    for (int i = 0; i < WIDE; i++) r->x[d + i] = r->first[d + i] = r->second[2 * d + i] = s->ones;
    for (int i = 0; i < 2; i++) {
        r->third[i] = s->third[i];
        r->d_third[i] = r->d_first[d + i] = s->d_third[i];
    }
}

#define READ(list) ((const float *const *)(list))

static double forward(const fitter *f, int k, context *s, rows *r) {
    const packed *w = &f->packed;
    const int d = f->inputs, n = s->count;
    layer(w->first, w->first_bias, d, READ(r->x), d, r->first, RELU, NULL, 0, n);
    layer(w->second, w->second_bias, d, READ(r->first), d, r->second, RELU, NULL, 0, n);
    float bias[4] = {f->parameters[f->places.b + 2 * k], f->parameters[f->places.b + 2 * k + 1]};
    layer(w->third, bias, 2 * d, READ(r->second), 2, r->third, KEEP, NULL, 0, n);
    return laplace(s, f->settings.lmbda);
}

/* The gradient by the inputs goes to `d_second`. */
static void backward(const fitter *f, context *s, rows *r, int tells) {
    const packed *w = &f->packed;
    const int d = f->inputs, n = s->count;
    for (int i = 0; i < 2; i++)
        for (int p = n; p < n + REACH_OVER && p < BLOCK; p++) s->d_third[i][p] = 0;
    layer(w->third_back, NULL, 2, READ(r->d_third), d, r->d_second, GATE, READ(r->second), 0, n);
    layer(w->second_back, NULL, d, READ(r->d_second), d, r->d_first, GATE, READ(r->first), 0, n);
    if (tells) {
        layer_gradient(s->sums_third, 2, READ(r->d_third), 2 * d + 1, READ(r->second), 0, n);
        layer_gradient(s->sums_second, d, READ(r->d_second), d + 1, READ(r->first), 0, n);
        layer_gradient(s->sums_first, d, READ(r->d_first), d + 1, READ(r->x), 0, n);
    }
    layer(w->first_back, NULL, d + 2, READ(r->d_first), d, r->d_second, KEEP, NULL, 0, n);
}

static void context_collect(const fitter *f, const context *s, int k, float by, float *gradient) {
    const places *at = &f->places;
    const int d = f->inputs;
    collect(s->sums_first, by, d, d + 1, 0, d, gradient + at->a1);
    collect(s->sums_first, by, d, d + 1, d, 1, gradient + at->bias1);
    collect(s->sums_second, by, d, d + 1, 0, d, gradient + at->a2);
    collect(s->sums_second, by, d, d + 1, d, 1, gradient + at->bias2);
    collect(s->sums_third, by, 2, 2 * d + 1, 0, d, gradient + at->a3);
    collect(s->sums_third, by, 2, 2 * d + 1, d, d, gradient + at->l);
    collect(s->sums_third, by, 2, 2 * d + 1, 2 * d, 1, gradient + at->b + 2 * k);
}

static void context_rows(fitter *f, job *j, context *s) {
    rows r;
    list_rows(f, s, &r);
    memset(s->sums_first, 0, sizeof s->sums_first);
    memset(s->sums_second, 0, sizeof s->sums_second);
    memset(s->sums_third, 0, sizeof s->sums_third);
    for (int n = 0; n < BLOCK; n++) s->ones[n] = 1;
    int row = j->first, column = 0;
    for (unsigned block = f->settings.seed; row < j->last; block++) {
        take_pieces(s, f->grid[j->grid].latents.width, j->last, &row, &column);
        gather(f, j->grid, s);
        j->bits += forward(f, j->grid, s, &r);
        keep_bits(f, j->grid, s);
        if (f->settings.only_loss) continue;
        backward(f, s, &r, block % (unsigned)f->settings.stride == 0);
        scatter(f, j->grid, s, s->d_second);
    }
    context_collect(f, s, j->grid, (float)f->settings.stride, j->gradient);
}

#endif
