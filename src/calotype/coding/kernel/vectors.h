/* Vectors of LANES floats, in the extension that GCC and Clang share; plain elementwise IEEE operations, so that every
   instruction set gives the same bits. */
#ifndef CALOTYPE_VECTORS_H
#define CALOTYPE_VECTORS_H

#include "numbers.h"

#if !defined(__GNUC__) && !defined(__clang__)
#error "The kernels need the vector extension of GCC and Clang; on Windows compile them with clang-cl."
#endif

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t masks __attribute__((vector_size(4 * LANES)));

static inline lanes load(const float *x) {
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(float *x, lanes v) { memcpy(x, &v, sizeof v); }
static inline lanes choose(masks which, lanes yes, lanes no) { return (lanes)(((masks)yes & which) | ((masks)no & ~which)); }
static inline lanes lanes_most(lanes a, lanes b) { return choose(a > b, a, b); }
static inline masks masks_least(masks a, masks b) { return (a & (a < b)) | (b & ~(a < b)); }
static inline lanes lanes_magnitude(lanes x) { return (lanes)((masks)x & 0x7fffffff); }

/* As `decay`. */
static inline lanes lanes_decay(lanes x) {
    const lanes limit = 16.0f - (lanes){0};
    const lanes scaled = choose(x < limit, x, limit) * 1.44269504f;
    const masks whole = __builtin_convertvector(scaled, masks);
    const lanes part = __builtin_convertvector(whole, lanes) - scaled;
    return (lanes)((masks)POWER(part) - (whole << 23));
}

/* ln(x) for normal x > 0, to 2e-5. */
static inline lanes lanes_logarithm(lanes x) {
    const masks bits = (masks)x;
    const lanes exponent = __builtin_convertvector((bits >> 23) - 127, lanes);
    const lanes m = (lanes)((bits & 0x7fffff) | 0x3f800000) - 1.0f;
    return exponent * 0.69314718f + LOGARITHM(m);
}

#endif
