/* The few functions of numbers that adaptive models need, from basic IEEE operations in a fixed order only, so that every
   machine gets the same bits. Written for loops over lanes: no branch, no table, no call. */
#ifndef CALOTYPE_NUMBERS_H
#define CALOTYPE_NUMBERS_H

#include <fenv.h>
#include <float.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

_Static_assert(FLT_EVAL_METHOD == 0, "floats must be computed as floats: with -mfpmath=sse on 32-bit x86");

static inline float as_float(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int32_t as_bits(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float least(float a, float b) { return a < b ? a : b; }
static inline float most(float a, float b) { return a > b ? a : b; }
static inline float within(float x, float low, float high) { return least(most(x, low), high); }
static inline float magnitude(float x) { return as_float(as_bits(x) & 0x7fffffff); }
static inline int at_most(int x, int limit) { return x < limit ? x : limit; }

/* 2^part for part in (-1, 0], of a float or of lanes. */
#define POWER(part) (1.0f + (part) * (0.69306098f + (part) * (0.23946224f + (part) * (0.05325775f + (part) * 0.00685973f))))

/* exp(-x) for x >= 0, to 1e-5 of its value; what is below e^-16 counts as that. */
static inline float decay(float x) {
    const float scaled = least(x, 16.0f) * 1.44269504f;
    const int32_t whole = (int32_t)scaled;
    const float part = (float)whole - scaled;
    return as_float(as_bits(POWER(part)) - whole * (1 << 23));
}

/* 1 / (1 + exp(-x)), from 1e-5 to 1 - 1e-5. */
static inline float logistic(float x) {
    const float tail = decay(least(magnitude(x), 11.5f));
    const float small = tail / (1.0f + tail);
    return x < 0 ? small : 1.0f - small;
}

/* ln(1 + m) for m in [0, 1), to 2e-5, of a float or of lanes. */
#define LOGARITHM(m) ((m) * (0.99939754f + (m) * (-0.49122156f + (m) * (0.28795043f + (m) * (-0.13476604f + (m) * 0.03180657f)))))

/* Quarter octaves of x > 0 (not exact ones: straight lines between powers of two). */
static inline int quarter_octaves(float x) { return (as_bits(x) >> 21) - (127 << 2); }

/* The standard's rounding, and tiny numbers kept, whatever another library left behind in this thread. */
#if defined(__x86_64__)
typedef unsigned float_mode;

static inline float_mode begin_standard_floats(void) {
    const float_mode before = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return before;
}

static inline void end_standard_floats(const float_mode *before) { _mm_setcsr(*before); }
#else
typedef fenv_t float_mode;

static inline float_mode begin_standard_floats(void) {
    float_mode before;
    fegetenv(&before);
    fesetenv(FE_DFL_ENV);
    return before;
}

static inline void end_standard_floats(const float_mode *before) { fesetenv(before); }
#endif

#endif
