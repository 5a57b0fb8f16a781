#include "plane.h"

typedef int code_rows(prism_plane *, const prism_plane *, const prism_plane *, int);
code_rows prism_code_fast, prism_code_4, prism_code_4_avx2, prism_code_8, prism_code_8_avx2;

#define SMALL_OWN {0, 0, -1, 1}, {0, -1, -1, 3}
#define SQUARE(plane) {plane, -1, -1, 3}, {plane, 0, -1, 3}, {plane, 1, -1, 3}
#define DIAMOND(plane) {plane, -2, 0, 1}, {plane, -1, -1, 3}, {plane, 0, -2, 5}, {plane, 1, -1, 3}, {plane, 2, 0, 1}

/* What filters see, by the number of references: own neighbours before the sample, those of others all around. */
static const run SHAPES[FILTERS_MAX][3][RUNS_MAX] = {
    {{{0, 0, -4, 4}, {0, -1, -3, 7}, {0, -2, -3, 7}, {0, -3, -2, 5}, {0, -4, 0, 1}},
     {{0, 0, -3, 3}, {0, -1, -3, 7}, {0, -2, -2, 5}, {0, -3, -1, 3}, DIAMOND(1)},
     {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, -1, 3}, DIAMOND(1), SQUARE(2)}},
    {{{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, 0, 1}},
     {SMALL_OWN, {1, 0, -1, 3}, {1, -1, 0, 1}},
     {SMALL_OWN, {1, 0, -1, 2}, {2, 0, -1, 2}}},
    {{{0, 0, -3, 3}, {0, -1, -3, 7}, {0, -2, -2, 5}, {0, -3, 0, 1}},
     {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, 0, 1}, {1, 0, -2, 5}, {1, -1, -1, 2}, {1, 1, 0, 1}},
     {{0, 0, -2, 2}, {0, -1, -1, 3}, {1, 0, -1, 3}, {1, -1, -1, 3}, {1, 1, 0, 1}, {2, 0, -1, 3}, {2, -1, 0, 1}}},
    {{{0, 0, -1, 1}, {0, -1, -1, 3}},
     {{0, 0, -1, 1}, {0, -1, 0, 1}, {1, 0, -1, 2}, {1, -1, 0, 1}},
     {{0, 0, -1, 1}, {0, -1, 0, 1}, {1, 0, -1, 2}, {1, -1, 0, 1}, {2, 0, 0, 1}}},
    {{{0, 0, -4, 4}, {0, -1, -4, 9}, {0, -2, -4, 9}, {0, -3, -3, 7}, {0, -4, -1, 3}},
     {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, -1, 3}, SQUARE(1), {1, -2, -1, 3}, {1, 2, -1, 3}},
     {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, 0, 1}, SQUARE(1), {2, 0, -1, 3}, {2, 1, 0, 1}, {2, -1, -1, 3}}},
    {{{0, 0, -2, 2}, {0, -1, -1, 3}, {0, -2, -1, 3}},
     {{1, 0, -2, 5}, {1, -1, 0, 1}, {1, 1, 0, 1}, {0, -1, 0, 1}},
     {{2, 0, -1, 3}, {2, 1, 0, 1}, {2, -1, 0, 1}, {1, 0, 0, 1}, {0, -1, 0, 1}, {0, 0, -1, 1}}},
};
static const float DRIFTS[FILTERS_MAX] = {2e-8f, 2e-3f, 1e-5f, 1e-1f, 1e-6f, 1e-4f};

static const unsigned char IDLE[PRISM_EFFORTS + 1][FILTERS_MAX] = {
    [2] = {7, 3}, [3] = {3, 1}, [4] = {3, 0}, [5] = {1, 0}, [7] = {1, 0, 0, 0, 1, 0},
};

static void filter_open(filter *f, int kind, int references, int effort) {
    f->idle = IDLE[effort][kind];
    f->drift = DRIFTS[kind];
    f->runs = SHAPES[kind][references];
    int inputs = 0;
    while (f->run_count < RUNS_MAX && f->runs[f->run_count].count) inputs += f->runs[f->run_count++].count;
    f->order = (inputs + 7) / 8 * 8;
    for (int i = 0; i < inputs; i++) f->covariance[i][i] = 1;
}

prism_plane *prism_open(int width, int height, int depth, int low, int high, int references, int effort,
                        uint16_t *samples, const uint8_t *stream, size_t size) {
    prism_plane *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->width = width, p->height = height, p->low = low, p->high = high, p->references = references, p->effort = effort;
    p->unit = 256.0f / (float)(1 << depth);
    p->stride = width + 2 * MARGIN;
    p->output = samples;
    const size_t rows = (size_t)height + 2 * MARGIN, stride = (size_t)p->stride;
    p->samples = calloc(rows * stride, sizeof *p->samples);
    p->errors = calloc(rows * stride, sizeof *p->errors);
    p->experts = effort > 6 ? 8 : 4;
    const size_t experts = (size_t)p->experts;
    p->recent = calloc(ERROR_ROWS * stride * experts, sizeof *p->recent);
    p->cells = calloc(experts, sizeof *p->cells);
    p->by_hint = calloc(NODES * HINTS * experts, sizeof *p->by_hint);
    p->by_level = calloc(NODES * LEVELS * experts, sizeof *p->by_level);
    p->slots = calloc(CONTEXTS, sizeof *p->slots);
    if (!p->samples || !p->errors || !p->recent || !p->cells || !p->by_hint || !p->by_level || !p->slots) {
        prism_close(p);
        return NULL;
    }
    for (size_t i = 0; i < MARGIN * stride; i++) p->samples[i] = 128;
    for (int f = 0; f < p->experts - 2; f++) filter_open(&p->filters[f], f, references, effort);
    for (int count = 0; count <= COUNT_MAX; count++) {
        p->cell_rates[count] = 1.0f / ((float)count + 1.5f);
        p->slot_rates[count] = 0.01f + 0.2f * p->cell_rates[count];
    }
    float activity = 0.03125f;
    for (int a = 0; a < ACTIVITIES; a++) {
        const float quarters[] = {1.0f, 1.25f, 1.5f, 1.75f};
        for (int e = 0; e < p->experts; e++)
            for (int h = 0; h < HINTS; h++) p->cells[e][a][h].mean = activity * quarters[a % 4];
        if (a % 4 == 3) activity *= 2;
    }
    for (int node = 0; node < NODES; node++) {
        for (int e = 0; e < p->experts; e++) {
            const float weight = e == p->experts - 1 ? 0.35f : 0.15f / (float)(p->experts - 1);
            for (int h = 0; h < HINTS; h++) p->by_hint[(node * HINTS + h) * p->experts + e] = weight;
            for (int l = 0; l < LEVELS; l++) p->by_level[(node * LEVELS + l) * p->experts + e] = weight;
        }
    }
    p->whole = calloc(rows * stride, 4);
    p->missed = calloc(rows * stride, 4);
    p->shapes = calloc(FAST_SHAPES, sizeof *p->shapes);
    for (int s = 0; s < FAST_SHAPES; s++)
        for (int k = 0; k < NODES; k++) p->shapes[s][k][0] = p->shapes[s][k][1] = 32768;
    p->fast = calloc(FAST_LEVELS, sizeof *p->fast);
    for (size_t i = 0; i < MARGIN * stride; i++) p->whole[i] = 1 << (depth - 1);
    for (int a = 0; a < FAST_LEVELS; a++)
        for (int h = 0; h < 8; h++) {
            p->fast[a][h].mean = (1 << (a / 2)) * 700;
            for (int k = 0; k < NODES; k++) p->fast[a][h].chances[k][0] = p->fast[a][h].chances[k][1] = 32768;
        }
    coder_open(&p->coder, stream, size);
    return p;
}

int prism_code(prism_plane *plane, const prism_plane *first, const prism_plane *second, int end) {
    if (end > plane->height) end = plane->height;
    if (plane->effort < 2) return prism_code_fast(plane, first, second, end);
    code_rows *code = plane->experts == 4 ? prism_code_4 : prism_code_8;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) code = plane->experts == 4 ? prism_code_4_avx2 : prism_code_8_avx2;
#endif
    return code(plane, first, second, end);
}

const uint8_t *prism_finish(prism_plane *plane, size_t *size) {
    coder_flush(&plane->coder);
    *size = plane->coder.no_memory ? 0 : plane->coder.size;
    return plane->coder.out;
}

void prism_close(prism_plane *p) {
    if (!p) return;
    free(p->samples), free(p->errors), free(p->recent), free(p->cells), free(p->by_hint), free(p->by_level);
    free(p->whole), free(p->missed), free(p->fast), free(p->shapes), free(p->slots), free(p->coder.out), free(p);
}
