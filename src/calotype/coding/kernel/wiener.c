/* A point-symmetric filter on a plane of floats. Compilers turn the inner loop into vectors by themselves. */
#include "calotype.h"

static const int WAYS[CALO_TAPS][2] = {{0, 1},  {0, 2},  {1, -2}, {1, -1}, {1, 0}, {1, 1},
                                       {1, 2},  {2, -2}, {2, -1}, {2, 0},  {2, 1}, {2, 2}};

void calo_wiener(const float *x, ptrdiff_t stride, size_t rows, size_t columns, const float *taps, float *out) {
    for (size_t i = 0; i < rows; i++) {
        const float *row = x + (ptrdiff_t)i * stride;
        float *to = out + i * columns;
        for (size_t j = 0; j < columns; j++) to[j] = row[j];
        for (int t = 0; t < CALO_TAPS; t++) {
            const ptrdiff_t way = WAYS[t][0] * stride + WAYS[t][1];
            const float tap = taps[t], *after = row + way, *before = row - way;
            for (size_t j = 0; j < columns; j++) to[j] += tap * ((after[j] + before[j]) - 2.0f * row[j]);
        }
    }
}
