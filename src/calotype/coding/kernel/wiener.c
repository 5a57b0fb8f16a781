/* Planes of floats to bytes, filtered on the way. Compilers turn the inner loops into vectors by themselves. */
#include "calotype.h"
#include "processor.h"

#include <string.h>

enum { BLOCK = 1024, REACH = CALO_TAP_REACH, LINES = 2 * REACH + 1 };

typedef struct {
    const float *plane;
    size_t height, width;
} window;

/* Columns from `left` - REACH on of a row; beyond the window its border goes on. */
static void fill(const window *w, int64_t row, size_t left, size_t columns, float *line) {
    if (row < 0) row = 0;
    if (row >= (int64_t)w->height) row = (int64_t)w->height - 1;
    const float *from = w->plane + (size_t)row * w->width;
    const size_t before = left < REACH ? left : REACH, behind = w->width - left - columns;
    const size_t after = behind < REACH ? behind : REACH;
    for (size_t j = 0; j < REACH - before; j++) line[j] = from[0];
    memcpy(line + REACH - before, from + left - before, sizeof *line * (before + columns + after));
    for (size_t j = after; j < REACH; j++) line[REACH + columns + j] = from[w->width - 1];
}

/* One row from the lines around it, in the order of `taps`. */
CALO_INLINE void filter(float *const lines[LINES], const float *t, size_t columns, float *out) {
    const float *c = lines[2] + REACH, *u = lines[1] + REACH, *d = lines[3] + REACH, *uu = lines[0] + REACH, *dd = lines[4] + REACH;
    float sum = 0;
    for (int k = 0; k < CALO_TAPS; k++) sum += t[k];
    const float middle = 1.0f - 2.0f * sum;
    for (size_t j = 0; j < columns; j++) {
        float x = middle * c[j];
        x += t[0] * (c[j + 1] + c[j - 1]) + t[1] * (c[j + 2] + c[j - 2]);
        x += t[2] * (d[j - 2] + u[j + 2]) + t[3] * (d[j - 1] + u[j + 1]) + t[4] * (d[j] + u[j]);
        x += t[5] * (d[j + 1] + u[j - 1]) + t[6] * (d[j + 2] + u[j - 2]);
        x += t[7] * (dd[j - 2] + uu[j + 2]) + t[8] * (dd[j - 1] + uu[j + 1]) + t[9] * (dd[j] + uu[j]);
        x += t[10] * (dd[j + 1] + uu[j - 1]) + t[11] * (dd[j + 2] + uu[j - 2]);
        out[j] = x;
    }
}

CALO_INLINE void to_bytes(const float *x, size_t columns, uint8_t *out, size_t step) {
    for (size_t j = 0; j < columns; j++) {
        const float scaled = x[j] * 255.0f, low = scaled > 0.0f ? scaled : 0.0f, value = low < 255.0f ? low : 255.0f;
        out[j * step] = (uint8_t)(int32_t)((value + 8388608.0f) - 8388608.0f); /* ties to even */
    }
}

CALO_INLINE void show(const window *w, size_t top, size_t left, size_t rows, size_t columns, const float *taps, uint8_t *out,
                      size_t step, size_t line_step) {
    float memory[LINES][BLOCK + 2 * REACH], row[BLOCK], *lines[LINES];
    for (int k = 0; taps && k < LINES; k++) {
        lines[k] = memory[k];
        fill(w, (int64_t)top + k - REACH, left, columns, lines[k]);
    }
    for (size_t i = 0; i < rows; i++, out += line_step) {
        const float *shown = w->plane + (top + i) * w->width + left;
        if (taps) {
            filter(lines, taps, columns, row);
            shown = row;
            float *first = lines[0];
            for (int k = 0; k + 1 < LINES; k++) lines[k] = lines[k + 1];
            lines[LINES - 1] = first;
            fill(w, (int64_t)(top + i) + REACH + 1, left, columns, first);
        }
        to_bytes(shown, columns, out, step);
    }
}

static void show_plain(const window *w, size_t top, size_t left, size_t rows, size_t columns, const float *taps, uint8_t *out,
                       size_t step, size_t line_step) {
    show(w, top, left, rows, columns, taps, out, step, line_step);
}

#ifdef CALO_X86_64
__attribute__((target("avx2"))) static void show_avx2(const window *w, size_t top, size_t left, size_t rows, size_t columns,
                                                      const float *taps, uint8_t *out, size_t step, size_t line_step) {
    show(w, top, left, rows, columns, taps, out, step, line_step);
}
#endif

void calo_show(const float *plane, size_t height, size_t width, size_t top, size_t left, size_t rows, size_t columns,
               const float *taps, uint8_t *out, size_t step) {
    const window w = {plane, height, width};
    for (size_t j = 0; j < columns; j += BLOCK) {
        const size_t part = columns - j < BLOCK ? columns - j : BLOCK;
#ifdef CALO_X86_64
        if (calo_processor() & CALO_AVX2) {
            show_avx2(&w, top, left + j, rows, part, taps, out + j * step, step, columns * step);
            continue;
        }
#endif
        show_plain(&w, top, left + j, rows, part, taps, out + j * step, step, columns * step);
    }
}
