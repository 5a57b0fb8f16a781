/* The quick model: one prediction, and decisions with counted chances. Integers only. */
#include "plane.h"

static inline int smaller(int a, int b) { return a < b ? a : b; }
static inline int larger(int a, int b) { return a > b ? a : b; }

static inline int median_of(int a, int b, int c) {
    const int low = smaller(a, b), high = larger(a, b), plane = a + b - c;
    return plane < low ? low : plane > high ? high : plane;
}

/* Twice the mean of the median rule, for edges, and of half a gradient, for slopes. */
static inline int twice_guess(int w, int n, int nw, int ne) { return median_of(w, n, nw) + ((2 * (w + n) + ne - nw + 2) >> 2); }

/* The same of the difference to a reference. */
static inline int twice_guess_by(const int32_t *row, const int32_t *r, int stride) {
    return 2 * r[0] + twice_guess(row[-1] - r[-1], row[-stride] - r[-stride], row[-stride - 1] - r[-stride - 1], row[1 - stride] - r[1 - stride]);
}

/* Half octaves of n >= 1. */
static inline int half_octaves(int n) { return (as_bits((float)n) >> 22) - (127 << 1); }

static inline void learn(uint16_t chance[2], int bit) {
    chance[0] = (uint16_t)(bit ? chance[0] + ((65535 - chance[0]) >> 5) : chance[0] - (chance[0] >> 5));
    chance[1] = (uint16_t)(bit ? chance[1] + ((65535 - chance[1]) >> 7) : chance[1] - (chance[1] >> 7));
}

int prism_code_fast(prism_plane *p, const prism_plane *first, const prism_plane *second, int end) {
    const int stride = p->stride, width = p->width;
    prism_coder *const coder = &p->coder;
    for (int y = p->rows; y < end; y++) {
        int32_t *row = p->whole + (ptrdiff_t)(y + MARGIN) * stride + MARGIN;
        const int32_t *above = row - stride;
        int32_t *missed = p->missed + (ptrdiff_t)(y + MARGIN) * stride + MARGIN;
        const int32_t *missed_above = missed - stride;
        const int32_t *row1 = first ? first->whole + (row - p->whole) : NULL;
        const int32_t *hints1 = first ? first->missed + (row - p->whole) : NULL;
        const int32_t *row2 = second ? second->whole + (row - p->whole) : NULL;
        const int32_t *hints2 = second ? second->missed + (row - p->whole) : NULL;
        uint16_t *out = p->output + (ptrdiff_t)y * width;
        row[-1] = above[0];
        for (int x = 0; x < width; x++) {
            int guess, hint = 0;
            if (!row1) {
                guess = twice_guess(row[x - 1], above[x], above[x - 1], above[x + 1]);
            } else {
                guess = twice_guess_by(row + x, row1 + x, stride);
                hint = hints1[x];
                if (row2) {
                    guess = (guess + twice_guess_by(row + x, row2 + x, stride) + 1) >> 1;
                    hint = (hint + hints2[x] + 1) >> 1;
                }
                hint = smaller(half_octaves(hint + 1), 7);
            }
            const int active = 2 * (missed[x - 1] + missed_above[x]) + missed_above[x - 1] + missed_above[x + 1] +
                               missed[x - 2] + missed_above[x + 2];
            const int level = smaller(half_octaves(active + 1), FAST_LEVELS - 1);
            fast_cell *cell = &p->fast[level][hint];
            guess = (guess + (cell->bias >> 15)) >> 1;
            guess = smaller(larger(guess, p->low), p->high);
            const int pattern = (row[x - 1] > guess) | (above[x] > guess) << 1 | (above[x - 1] > guess) << 2 | (above[x + 1] > guess) << 3;
            uint16_t(*shape)[2] = p->shapes[pattern * 12 + level / 2];
            const int sample = out[x];
            const int spread = cell->mean;
            int low = p->low, high = p->high + 1, threshold = smaller(larger(guess + 1, low + 1), high - 1);
            int up = 0, steps = 0, depth = 0, phase = 0;
            while (high - low > 1) {
                const int node = phase == 0 ? 0 : phase == 1 ? 1 + 8 * up + smaller(steps, 7) : 17 + 16 * up + smaller(steps, 3) * 4 + smaller(depth, 3);
                uint16_t *by_errors = cell->chances[node], *by_shape = shape[node];
                const int odds = (by_errors[0] + by_errors[1] + by_shape[0] + by_shape[1]) >> 2;
                const int bit = code_bit(coder, (uint32_t)smaller(larger(odds, 32), 65504), sample >= threshold);
                learn(by_errors, bit);
                learn(by_shape, bit);
                if (bit) low = threshold;
                else high = threshold;
                if (phase == 0) up = bit, phase = 1;
                else if (phase == 1 && bit == up) steps++;
                else if (phase == 1) phase = 2;
                else depth++;
                if (phase == 1) {
                    static const int STRIDES[] = {12, 9, 11, 16, 28, 45}; /* 1/16 of the mean error */
                    const int jump = larger((spread * STRIDES[smaller(steps, 5)] + 32768) >> 16, 1);
                    threshold = larger(smaller(up ? low + jump : high - jump, high - 1), low + 1);
                } else {
                    threshold = (low + high + !up) >> 1;
                }
            }
            out[x] = (uint16_t)low;
            row[x] = low;
            const int error = low - guess;
            missed[x] = error < 0 ? -error : error;
            cell->mean += ((missed[x] << 12) - cell->mean) >> 6;
            cell->bias += ((error << 17) - cell->bias) >> 8;
        }
        for (int k = 0; k < MARGIN; k++) {
            row[width + k] = row[width - 1], row[-1 - k] = row[0];
            missed[width + k] = missed[width - 1], missed[-1 - k] = missed[0];
        }
        p->rows = y + 1;
        if (p->coder.no_memory) return PRISM_NO_MEMORY;
        if (p->coder.beyond > 8) return PRISM_CORRUPT;
    }
    return PRISM_OK;
}
