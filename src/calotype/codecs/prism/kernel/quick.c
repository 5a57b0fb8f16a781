/* The quick model: one prediction, and decisions with counted chances. Integers only. */
#include "plane.h"

static inline int smaller(int a, int b) { return a < b ? a : b; }
static inline int larger(int a, int b) { return a > b ? a : b; }

/* Half octaves of n >= 1. */
static inline int half_octaves(int n) { return quarter_octaves((float)n) >> 1; }

/* Twice the mean of the median rule, for edges, and of half a gradient, for slopes. */
static inline int twice_guess(int w, int n, int nw, int ne) {
    const int edge = smaller(larger(w + n - nw, smaller(w, n)), larger(w, n));
    return edge + ((2 * (w + n) + ne - nw + 2) >> 2);
}

/* The same of the difference to a reference. */
static inline int twice_guess_by(const int32_t *own, const int32_t *other, int stride) {
    const int32_t *above = own - stride, *other_above = other - stride;
    return 2 * other[0] + twice_guess(own[-1] - other[-1], above[0] - other_above[0], above[-1] - other_above[-1],
                                      above[1] - other_above[1]);
}

static inline void learn(uint16_t chance[2], int bit) {
    chance[0] = (uint16_t)(bit ? chance[0] + ((65535 - chance[0]) >> 4) : chance[0] - (chance[0] >> 4));
    chance[1] = (uint16_t)(bit ? chance[1] + ((65535 - chance[1]) >> 6) : chance[1] - (chance[1] >> 6));
}

/* Number of the sample's bin, of which `number` is taken when encoding. */
static inline int code_number(prism_plane *p, quick_cell *c, uint16_t (*shape)[2], const bins *b, int number) {
    static const int STRIDES[] = {12, 9, 11, 16, 28, 45}; /* sixteenths of the mean error */
    walk w = walk_from(p, b);
    const int spread = p->bound ? c->mean / p->step : c->mean;
    while (w.high - w.low > 1) {
        const int node = walk_node(&w);
        uint16_t *by_errors = c->chances[node], *by_shape = shape[node];
        const int odds = (by_errors[0] + by_errors[1] + by_shape[0] + by_shape[1]) >> 2;
        const int bit = code_bit(&p->coder, (uint32_t)smaller(larger(odds, 32), 65504),
                                 w.phase == AT_CENTRE ? number == 0 : number >= w.threshold);
        learn(by_errors, bit);
        learn(by_shape, bit);
        if (walk_on(&w, bit)) {
            const int64_t stride = (int64_t)spread * STRIDES[at_most(w.strides, 5)];
            walk_stride(&w, (int)((stride + 32768) >> 16));
        }
    }
    return w.low;
}

int prism_code_quick(prism_plane *p, const prism_plane *first, const prism_plane *second, int end) {
    const int stride = p->stride, width = p->width;
    const int inwards = (3 * p->bound + 2) / 4; /* where samples are in their bins that the guess is not in: nearer to it */
    for (int y = p->rows; y < end; y++) {
        const ptrdiff_t start = (ptrdiff_t)(y + MARGIN) * stride + MARGIN;
        int32_t *row = p->whole + start, *missed = p->missed + start;
        const int32_t *above = row - stride, *missed_above = missed - stride;
        uint16_t *out = p->output + (ptrdiff_t)y * width;
        row[-1] = above[0];
        for (int x = 0; x < width; x++) {
            int guess, hint = 0;
            if (!first) {
                guess = twice_guess(row[x - 1], above[x], above[x - 1], above[x + 1]);
            } else {
                guess = twice_guess_by(row + x, first->whole + start + x, stride);
                hint = first->missed[start + x];
                if (second) {
                    guess = (guess + twice_guess_by(row + x, second->whole + start + x, stride) + 1) >> 1;
                    hint = (hint + second->missed[start + x] + 1) >> 1;
                }
                hint = smaller(half_octaves(hint + 1), QUICK_HINTS - 1);
            }
            const int activity = 2 * (missed[x - 1] + missed_above[x]) + missed_above[x - 1] + missed_above[x + 1] +
                                 missed[x - 2] + missed_above[x + 2];
            const int level = smaller(half_octaves(activity + 1), QUICK_LEVELS - 1);
            quick_cell *c = &p->quick[level][hint];
            guess = smaller(larger((guess + (c->bias >> 13)) >> 1, p->low), p->high);
            const int pattern = (row[x - 1] > guess) | (above[x] > guess) << 1 | (above[x - 1] > guess) << 2 |
                                (above[x + 1] > guess) << 3;
            const bins b = bins_around(p, p->bound ? origin_near(p, guess) : guess);
            const int number = code_number(p, c, p->shapes[(pattern * QUICK_LEVELS + level) / 2], &b, bin_of(p, &b, out[x]));
            out[x] = (uint16_t)(row[x] = bin_value(p, &b, number));
            row[x] -= number > 0 ? inwards : number < 0 ? -inwards : 0;
            const int error = row[x] - guess;
            missed[x] = error < 0 ? -error : error;
            c->mean += (missed[x] * 4096 - c->mean) >> 6;
            c->bias += (error * 16384 - c->bias) >> 8;
        }
        for (int k = 0; k < MARGIN; k++) {
            row[width + k] = row[width - 1], row[-1 - k] = row[0];
            missed[width + k] = missed[width - 1], missed[-1 - k] = missed[0];
        }
        p->rows = y + 1;
        const int status = plane_status(p);
        if (status) return status;
    }
    return PRISM_OK;
}
