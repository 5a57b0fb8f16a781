/* Integers with Laplace distributions as binary decisions: is it another than the nearest one to the mean, on which side
   of it, how far. Of the distances, which are geometric, binary digits are independent of each other. */
#ifndef FIT_ENTROPY_H
#define FIT_ENTROPY_H

#include "coder.h"
#include "tables.h"

/* What is further out than expected may be much further: chances of going on after 1 and after 6 strides, at least. */
enum { SECOND_CHANCE = 6144, LATER_STRIDES = 6, LATER_CHANCE = 49152 };

struct fit_coder {
    bit_coder stream;
    float *costs; /* counting: bits of a decision by its chance; NULL where there is a stream */
    double bits;
};

static inline int decide(fit_coder *c, uint32_t chance, int bit) {
    if (c->costs) {
        c->bits += (double)c->costs[bit ? chance : 65536 - chance];
        return bit;
    }
    return code_bit(&c->stream, chance, bit);
}

/* Distance - 1 from the nearest integer, at most `limit`. */
static inline int code_distance(fit_coder *c, int scale, int limit, int distance) {
    const int digits = DIGIT_COUNTS[scale], last = limit >> digits;
    int strides = 0;
    while (strides < last) {
        const uint32_t least = strides >= LATER_STRIDES ? LATER_CHANCE : strides ? SECOND_CHANCE : 0;
        if (!decide(c, MORE[scale] > least ? MORE[scale] : least, distance >> digits > strides)) break;
        strides++;
    }
    int found = strides;
    for (int place = digits - 1; place >= 0; place--) found = 2 * found + decide(c, DIGIT[scale][place], distance >> place & 1);
    return found < limit ? found : limit;
}

/* A value in -limit .. limit. The mean counts 1/64, and is within -64 (limit - 1) .. 64 (limit - 1). */
static inline int code_laplace(fit_coder *c, int scale, int mean, int limit, int value) {
    const int centre = (mean + 32) >> 6, offset = mean - centre * 64, aside = offset < 0 ? -offset : offset;
    if (!decide(c, OTHER[scale][aside], value != centre)) return centre;
    const int towards = offset < 0 ? -1 : 1;
    const int side = decide(c, NEAR[scale][aside], (value - centre) * towards > 0) ? towards : -towards;
    return centre + side * (1 + code_distance(c, scale, limit - side * centre - 1, (value - centre) * side - 1));
}

#endif
