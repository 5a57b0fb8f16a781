/* Linear layers over positions, forward and backward. A list of pointers names the inputs, one row of positions each (so
   that a convolution is a layer of shifted rows); the sums of a tile of outputs and positions stay in
   registers. */
#ifndef FIT_LAYERS_H
#define FIT_LAYERS_H

#include <string.h>

#include "scratch.h"
#include "vectors.h"

enum { TALLEST = 6, WIDEST_TILE = 4 }; /* outputs and vectors of positions in a tile */

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t words __attribute__((vector_size(4 * LANES)));

INLINE lanes splat(float x) { return x - (lanes){0}; }

/* What is done with the sums of a layer: kept, those below zero set to zero, set to zero where `gate` is. */
typedef enum { KEEP, RELU, GATE } finish;

INLINE void layer_tile(const int tall, const int wide, const float *weights, int pitch, const float *bias, int inputs,
                       const float *const *x, float *const *y, finish end, const float *const *gate, int n) {
    lanes sum[TALLEST][WIDEST_TILE];
    for (int j = 0; j < tall; j++)
        for (int v = 0; v < wide; v++) sum[j][v] = splat(bias ? bias[j] : 0);
    for (int i = 0; i < inputs; i++, weights += pitch) {
        lanes in[WIDEST_TILE];
        for (int v = 0; v < wide; v++) in[v] = load(x[i] + n + v * LANES);
        for (int j = 0; j < tall; j++) {
            const lanes w = splat(weights[j]);
            for (int v = 0; v < wide; v++) sum[j][v] += w * in[v];
        }
    }
    for (int j = 0; j < tall; j++)
        for (int v = 0; v < wide; v++) {
            lanes out = sum[j][v];
            if (end == RELU) out = lanes_most(out, splat(0));
            if (end == GATE) out = choose(load(gate[j] + n + v * LANES) > 0, out, splat(0));
            store(y[j] + n + v * LANES, out);
        }
}

/* The next so many of `left` outputs or inputs, shared out evenly, at most `most` at a time. */
static inline int share(int left, int most) {
    const int groups = (left + most - 1) / most;
    return (left + groups - 1) / groups;
}

/* y[j][n] = finish(bias[j] + sum_i weights[i][j] x[i][n]) from n = `from` to `to` and up to REACH_OVER beyond; `weights`
   have a pitch of `outputs` rounded up to 4. */
static void layer(const float *weights, const float *bias, int inputs, const float *const *x, int outputs,
                  float *const *y, finish end, const float *const *gate, int from, int to) {
    const int pitch = up_to(outputs, 4);
#define TILES(tall, wide) \
    for (int n = from; n < to; n += wide * LANES) layer_tile(tall, wide, w, pitch, b, inputs, x, y + j, end, g, n)
    for (int j = 0, tall; j < outputs; j += tall) {
        const float *w = weights + j, *b = bias ? bias + j : NULL;
        const float *const *g = gate ? gate + j : NULL;
        tall = share(outputs - j, TALLEST);
        switch (tall) { /* 8 to 12 sums: what hides the latency and fits into 16 registers */
        case 1: TILES(1, 4); break;
        case 2: TILES(2, 4); break;
        case 3: TILES(3, 3); break;
        case 4: TILES(4, 2); break;
        case 5: TILES(5, 2); break;
        default: TILES(6, 2);
        }
    }
#undef TILES
}

INLINE void gradient_tile(const int tall, float *sums, int pitch, const float *const *dy, const float *const *x, int from,
                          int to) {
    lanes sum[TALL][WIDE];
    for (int j = 0; j < tall; j++)
        for (int i = 0; i < WIDE; i++) sum[j][i] = load(sums + ((size_t)j * pitch + i) * LANES);
    for (int n = from; n < to; n += LANES) {
        lanes in[WIDE];
        for (int i = 0; i < WIDE; i++) in[i] = load(x[i] + n);
        for (int j = 0; j < tall; j++) {
            const lanes out = load(dy[j] + n);
            for (int i = 0; i < WIDE; i++) sum[j][i] += out * in[i];
        }
    }
    for (int j = 0; j < tall; j++)
        for (int i = 0; i < WIDE; i++) store(sums + ((size_t)j * pitch + i) * LANES, sum[j][i]);
}

/* sums[j][i] += sum_n dy[j][n] x[i][n], the lanes apart, from n = `from` to `to`, rounded up to LANES; `x` has as
   many rows as `inputs` rounded up to WIDE. */
static void layer_gradient(float *sums, int outputs, const float *const *dy, int inputs, const float *const *x, int from,
                           int to) {
    const int pitch = up_to(inputs, WIDE);
    for (int j = 0, tall; j < outputs; j += tall) {
        tall = share(outputs - j, TALL);
        for (int i = 0; i < inputs; i += WIDE) {
            float *s = sums + ((size_t)j * pitch + i) * LANES;
            switch (tall) {
            case 1: gradient_tile(1, s, pitch, dy + j, x + i, from, to); break;
            case 2: gradient_tile(2, s, pitch, dy + j, x + i, from, to); break;
            case 3: gradient_tile(3, s, pitch, dy + j, x + i, from, to); break;
            default: gradient_tile(4, s, pitch, dy + j, x + i, from, to);
            }
        }
    }
}

static float total(const float *sums) {
    float sum = 0;
    for (int l = 0; l < LANES; l++) sum += sums[l];
    return sum;
}

/* gradient[j][i] += `by` times the total of sums[j][first + i]. */
static void collect(const float *sums, float by, int outputs, int inputs, int first, int count, float *gradient) {
    const int pitch = up_to(inputs, WIDE);
    for (int j = 0; j < outputs; j++)
        for (int i = 0; i < count; i++)
            gradient[j * count + i] += by * total(sums + ((size_t)j * pitch + first + i) * LANES);
}

/* --- functions --------------------------------------------------------------------------------------------------- */

/* e^x to 2e-7 of it, |x| <= 87 (beyond, as there). */
INLINE lanes exponential(lanes x) {
    x = choose(x > 87.0f, splat(87), choose(x < -87.0f, splat(-87), x));
    const lanes magic = splat(12582912.0f); /* 1.5 * 2^23: its sum with a number rounds that to an integer */
    const lanes shifted = x * 1.44269504f + magic;
    const lanes whole = shifted - magic;
    const lanes part = x - whole * 0.693359375f + whole * 2.12194440e-4f; /* ln 2 in two steps */
    lanes p = part * 1.3981999e-3f + 8.3334519e-3f;
    p = p * part + 4.1665795e-2f;
    p = p * part + 1.6666665e-1f;
    p = p * part + 0.5f;
    p = p * part * part + part + 1.0f;
    return (lanes)((masks)p + ((masks)shifted << 23));
}

/* log2(x) to 3e-7, x > 0 and normal. */
INLINE lanes binary_logarithm(lanes x) {
    const masks bits = (masks)x + (0x3f800000 - 0x3f3504f3); /* mantissa from sqrt(1/2) to sqrt(2) */
    const lanes exponent = __builtin_convertvector((bits >> 23) - 127, lanes);
    const lanes m = (lanes)((bits & 0x7fffff) + 0x3f3504f3);
    const lanes t = (m - 1.0f) / (m + 1.0f), s = t * t;
    return exponent + t * (2.88539008f + s * (0.96179669f + s * (0.57707802f + s * 0.41219858f)));
}

/* tanh(x) */
INLINE lanes hyperbolic(lanes x) { return 1.0f - 2.0f / (exponential(x + x) + 1.0f); }

INLINE lanes lower(lanes x) {
    const lanes whole = __builtin_convertvector(__builtin_convertvector(x, masks), lanes);
    return whole - choose(whole > x, splat(1), splat(0));
}

/* --- order of lanes ---------------------------------------------------------------------------------------------- */

#if LANES == 4
#define ZIP_LOW {0, 4, 1, 5}
#define ZIP_HIGH {2, 6, 3, 7}
#define EVEN {0, 2, 4, 6}
#define ODD {1, 3, 5, 7}
#elif LANES == 8
#define ZIP_LOW {0, 8, 1, 9, 2, 10, 3, 11}
#define ZIP_HIGH {4, 12, 5, 13, 6, 14, 7, 15}
#define EVEN {0, 2, 4, 6, 8, 10, 12, 14}
#define ODD {1, 3, 5, 7, 9, 11, 13, 15}
#else
#define ZIP_LOW {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}
#define ZIP_HIGH {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31}
#define EVEN {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30}
#define ODD {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31}
#endif

/* x[0], y[0], x[1], y[1] ... to 2 LANES floats; and back. */
INLINE void zip(float *to, lanes x, lanes y) {
    store(to, __builtin_shuffle(x, y, (masks)ZIP_LOW));
    store(to + LANES, __builtin_shuffle(x, y, (masks)ZIP_HIGH));
}

INLINE void unzip(const float *from, lanes *x, lanes *y) {
    const lanes a = load(from), b = load(from + LANES);
    *x = __builtin_shuffle(a, b, (masks)EVEN);
    *y = __builtin_shuffle(a, b, (masks)ODD);
}

#endif
