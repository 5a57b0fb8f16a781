/* Rounding of the latents, their Adam, and the features of coarser grids. */
#ifndef FIT_LATENTS_H
#define FIT_LATENTS_H

#include <math.h>

#include "layers.h"

/* --- rounding ---------------------------------------------------------------------------------------------------- */

/* floor(x) + tanh((x - floor(x) - 1/2) / T) / (2 tanh(1 / 2T)) + 1/2 (Agustsson and Theis 2020), and its slope. */
INLINE lanes soft_round(lanes x, float temperature, float half, lanes *slope) {
    const lanes whole = lower(x);
    const lanes t = hyperbolic((x - whole - 0.5f) * (1 / temperature));
    *slope = (1.0f - t * t) * (0.5f / (half * temperature));
    return whole + t * (0.5f / half) + 0.5f;
}

#define SPREAD 0x9e3779b1u      /* 2^32 / golden ratio, odd */
#define SPREAD_SEED 0x85ebca6bu

INLINE words hash(words h) {
    h = (h ^ (h >> 16)) * 0x7feb352du;
    h = (h ^ (h >> 15)) * 0x846ca68bu;
    return h ^ (h >> 16);
}

/* Four bytes of a hash added up: nearly normal, of mean 0 and variance 1. */
INLINE lanes noise(words h) {
    const words pairs = (h & 0x00ff00ff) + ((h >> 8) & 0x00ff00ff);
    const lanes sum = __builtin_convertvector((masks)((pairs & 0xffff) + (pairs >> 16)), lanes);
    return (sum - 510.0f) * (1 / 147.8005f);
}

/* From a hash, from 0 to 1, evenly. */
INLINE lanes chance(words h) {
    return __builtin_convertvector((masks)((h * 0x2c1b3c6du) >> 8), lanes) * 0x1p-24f;
}

static void round_row(const fitter *f, const grid *g, int row) {
    const fitter_settings *s = &f->settings;
    const float *y = row_of(&g->latents, row);
    float *to = row_of(&g->rounded, row), *slope = row_of(&g->slope, row);
    const int width = g->latents.width;
    const float half = tanhf(0.5f / s->temperature);
    words place; /* a number for each latent, other ones in each iteration */
    for (int l = 0; l < LANES; l++) place[l] = (g->start + (uint32_t)row * (uint32_t)width + (uint32_t)l) * SPREAD;
    place += s->seed * SPREAD_SEED;
    for (int c = 0; c < width; c += LANES, place += LANES * SPREAD) {
        const lanes x = load(y + c), whole = lower(x + 0.5f);
        lanes first, second;
        if (s->hard >= 1) {
            store(to + c, whole);
            store(slope + c, splat(1));
        } else {
            const words h = hash(place);
            const lanes noisy = soft_round(x, s->temperature, half, &first) + noise(h) * s->noise;
            const lanes soft = soft_round(noisy, s->temperature, half, &second);
            const masks hard = chance(h) < s->hard;
            store(to + c, choose(hard, whole, soft));
            store(slope + c, choose(hard, splat(0), first * second));
        }
    }
    memset(to + width, 0, (size_t)(up_to(width, LANES) - width) * sizeof *to);
}

static void round_rows(fitter *f, const job *j) {
    grid *g = &f->grid[j->grid];
    for (int r = j->first; r < j->last; r++) {
        round_row(f, g, r);
        memset(row_of(&g->gradient, r) - LEFT, 0, (size_t)g->gradient.stride * sizeof(float));
    }
}

/* --- features: a pyramid of sums, coarse to fine ------------------------------------------------------------------- */

static void feature_forward(fitter *f, const job *j) {
    const int k = j->grid;
    const float *weights = f->parameters + f->places.features[k] + j->feature * (f->grids - 1 - k);
    for (int l = f->grids - 1; l > k; l--) {
        const float w = weights[l - k - 1];
        const plane *to = &f->feature[k][j->feature][l], *coarse = to + 1;
        for (int r = 0; r < to->height; r++) {
            const float *y = row_of(&f->grid[l].rounded, r);
            float *sum = row_of(to, r);
            if (l == f->grids - 1) {
                for (int c = 0; c < to->width; c++) sum[c] = w * y[c];
            } else {
                const float *below = row_of(coarse, r >> 1);
                for (int c = 0; c < to->width; c += 2 * LANES) {
                    const lanes b = load(below + c / 2);
                    zip(sum + c, b, b);
                    store(sum + c, load(sum + c) + w * load(y + c));
                    store(sum + c + LANES, load(sum + c + LANES) + w * load(y + c + LANES));
                }
            }
        }
    }
    plane *gradient = &f->feature_gradient[k][j->feature][k + 1];
    for (int r = 0; r < gradient->height; r++)
        memset(row_of(gradient, r) - LEFT, 0, (size_t)gradient->stride * sizeof(float));
}

static float product(const plane *a, const plane *b) {
    lanes sum = splat(0);
    for (int r = 0; r < a->height; r++) {
        const float *x = row_of(a, r), *y = row_of(b, r);
        for (int c = 0; c < a->width; c += LANES) sum += load(x + c) * load(y + c);
    }
    float sums[LANES];
    store(sums, sum);
    return total(sums);
}

/* to = sums of 2 x 2 of from, which is zero outside. */
static void halve(const plane *from, plane *to) {
    for (int r = 0; r < to->height; r++) {
        const float *above = row_of(from, 2 * r), *below = row_of(from, 2 * r + 1);
        const int alone = 2 * r + 1 == from->height;
        float *sum = row_of(to, r);
        for (int c = 0; c < to->width; c += LANES) {
            lanes a, b, x, y;
            unzip(above + 2 * c, &a, &b);
            lanes s = a + b;
            if (!alone) {
                unzip(below + 2 * c, &x, &y);
                s += x + y;
            }
            store(sum + c, s);
        }
    }
}

static void feature_backward(fitter *f, job *j) {
    const int k = j->grid;
    float *gradient = j->gradient + f->places.features[k] + j->feature * (f->grids - 1 - k);
    for (int l = k + 1; l < f->grids; l++) {
        plane *dy = &f->feature_gradient[k][j->feature][l];
        if (l > k + 1) halve(dy - 1, dy);
        gradient[l - k - 1] = product(dy, &f->grid[l].rounded);
    }
}

/* --- Adam -------------------------------------------------------------------------------------------------------- */

static void add_row(float *restrict to, const float *restrict from, float by, int width) {
    for (int c = 0; c < width; c++) to[c] += by * from[c];
}

static void add_features(fitter *f, int l, int row) {
    float *to = row_of(&f->grid[l].gradient, row);
    for (int k = 0; k < FEATURE_GRIDS && k < l; k++)
        for (int i = 0; i < f->features; i++) {
            const float w = f->parameters[f->places.features[k] + i * (f->grids - 1 - k) + l - k - 1];
            add_row(to, row_of(&f->feature_gradient[k][i][l], row), w, f->grid[l].latents.width);
        }
}

static void step_row(const fitter_settings *s, float *restrict y, float *restrict first, float *restrict second,
                     const float *restrict slope, const float *restrict gradient, int width) {
    const float by = s->step / s->correction[0], scale = 1 / s->correction[1];
    for (int c = 0; c < width; c++) {
        const float g = gradient[c] * slope[c];
        first[c] = s->decay[0] * first[c] + (1 - s->decay[0]) * g;
        second[c] = s->decay[1] * second[c] + (1 - s->decay[1]) * g * g;
        const float moved = y[c] - by * first[c] / (sqrtf(second[c] * scale) + s->epsilon);
        y[c] = moved > FITTER_LATENT_MAX ? FITTER_LATENT_MAX : moved < -FITTER_LATENT_MAX ? -FITTER_LATENT_MAX : moved;
    }
}

static void update_rows(fitter *f, const job *j) {
    grid *g = &f->grid[j->grid];
    const int width = g->latents.width;
    for (int r = j->first; r < j->last; r++) {
        add_features(f, j->grid, r);
        if (j->grid) add_row(row_of(&g->gradient, r), row_of(&f->up_gradient[j->grid][j->grid], r), 1, width);
        if (f->settings.step == 0 || f->settings.hard >= 1) continue;
        step_row(&f->settings, row_of(&g->latents, r), row_of(&g->first, r), row_of(&g->second, r),
                 row_of(&g->slope, r), row_of(&g->gradient, r), width);
    }
}

#endif
