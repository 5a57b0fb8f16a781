#include "plane.h"
#include "processor.h"

typedef int code_rows(prism_plane *, const prism_plane *, const prism_plane *, int);
code_rows prism_code_quick, prism_code_4, prism_code_4_avx2, prism_code_8, prism_code_8_avx2;

static int portable = 0;

/* --- filters ----------------------------------------------------------------------------------------------------- */

#define CORNER {0, 0, -1, 1}, {0, -1, -1, 3}
#define SQUARE(plane) {plane, -1, -1, 3}, {plane, 0, -1, 3}, {plane, 1, -1, 3}
#define DIAMOND(plane) {plane, -2, 0, 1}, {plane, -1, -1, 3}, {plane, 0, -2, 5}, {plane, 1, -1, 3}, {plane, 2, 0, 1}

/* What each filter sees, by the number of references: own neighbours before the sample, those of others all around. */
static const struct {
    float drift;
    run runs[3][RUNS_MAX];
} FILTERS[FILTERS_MAX] = {
    {2e-8f, /* much, for texture that stays */
     {{{0, 0, -4, 4}, {0, -1, -3, 7}, {0, -2, -3, 7}, {0, -3, -2, 5}, {0, -4, 0, 1}},
      {{0, 0, -3, 3}, {0, -1, -3, 7}, {0, -2, -2, 5}, {0, -3, -1, 3}, DIAMOND(1)},
      {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, -1, 3}, DIAMOND(1), SQUARE(2)}}},
    {2e-3f, /* little, for what changes fast */
     {{{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, 0, 1}},
      {CORNER, {1, 0, -1, 3}, {1, -1, 0, 1}},
      {CORNER, {1, 0, -1, 2}, {2, 0, -1, 2}}}},
    {1e-5f,
     {{{0, 0, -3, 3}, {0, -1, -3, 7}, {0, -2, -2, 5}, {0, -3, 0, 1}},
      {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, 0, 1}, {1, 0, -2, 5}, {1, -1, -1, 2}, {1, 1, 0, 1}},
      {{0, 0, -2, 2}, {0, -1, -1, 3}, {1, 0, -1, 3}, {1, -1, -1, 3}, {1, 1, 0, 1}, {2, 0, -1, 3}, {2, -1, 0, 1}}}},
    {1e-1f,
     {{CORNER},
      {{0, 0, -1, 1}, {0, -1, 0, 1}, {1, 0, -1, 2}, {1, -1, 0, 1}},
      {{0, 0, -1, 1}, {0, -1, 0, 1}, {1, 0, -1, 2}, {1, -1, 0, 1}, {2, 0, 0, 1}}}},
    {1e-6f,
     {{{0, 0, -4, 4}, {0, -1, -4, 9}, {0, -2, -4, 9}, {0, -3, -3, 7}, {0, -4, -1, 3}},
      {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, -1, 3}, SQUARE(1), {1, -2, -1, 3}, {1, 2, -1, 3}},
      {{0, 0, -2, 2}, {0, -1, -2, 5}, {0, -2, 0, 1}, SQUARE(1), {2, 0, -1, 3}, {2, 1, 0, 1}, {2, -1, -1, 3}}}},
    {1e-4f,
     {{{0, 0, -2, 2}, {0, -1, -1, 3}, {0, -2, -1, 3}},
      {{1, 0, -2, 5}, {1, -1, 0, 1}, {1, 1, 0, 1}, {0, -1, 0, 1}},
      {{2, 0, -1, 3}, {2, 1, 0, 1}, {2, -1, 0, 1}, {1, 0, 0, 1}, {0, -1, 0, 1}, {0, 0, -1, 1}}}},
};

/* --- efforts ----------------------------------------------------------------------------------------------------- */

/* Experts of each effort, 0 being the quick model, and which samples its filters do not learn from (`filter.idle`). */
static const struct {
    unsigned char experts, idle[FILTERS_MAX];
} EFFORTS[PRISM_EFFORTS + 1] = {
    [1] = {0},
    [2] = {4, {7, 3}},
    [3] = {4, {3, 1}},
    [4] = {4, {3, 0}},
    [5] = {4, {1, 0}},
    [6] = {4, {0, 0}},
    [7] = {8, {1, 0, 0, 0, 1, 0}},
    [8] = {8, {0}},
    [9] = {8, {0}},
};

static void filter_open(filter *f, int kind, int references, int idle) {
    f->drift = FILTERS[kind].drift;
    f->runs = FILTERS[kind].runs[references];
    f->idle = idle;
    int inputs = 0;
    while (f->run_count < RUNS_MAX && f->runs[f->run_count].count) inputs += f->runs[f->run_count++].count;
    f->order = (inputs + 7) / 8 * 8;
    for (int i = 0; i < inputs; i++) f->covariance[i][i] = 1;
}

/* --- planes ------------------------------------------------------------------------------------------------------ */

static int quick_open(prism_plane *p, int depth, size_t rows, size_t stride) {
    p->whole = calloc(rows * stride, sizeof *p->whole);
    p->missed = calloc(rows * stride, sizeof *p->missed);
    p->quick = calloc(QUICK_LEVELS, sizeof *p->quick);
    p->shapes = calloc(QUICK_SHAPES, sizeof *p->shapes);
    if (!p->whole || !p->missed || !p->quick || !p->shapes) return PRISM_NO_MEMORY;
    for (size_t i = 0; i < MARGIN * stride; i++) p->whole[i] = 1 << (depth - 1);
    for (int level = 0; level < QUICK_LEVELS; level++)
        for (int hint = 0; hint < QUICK_HINTS; hint++) {
            quick_cell *c = &p->quick[level][hint];
            c->mean = 700 << level / 2; /* a sixth of the activity that the level begins at */
            for (int node = 0; node < NODES; node++) c->chances[node][0] = c->chances[node][1] = 32768;
        }
    for (int shape = 0; shape < QUICK_SHAPES; shape++)
        for (int node = 0; node < NODES; node++) p->shapes[shape][node][0] = p->shapes[shape][node][1] = 32768;
    return PRISM_OK;
}

static int thorough_open(prism_plane *p, int depth, size_t rows, size_t stride) {
    const size_t experts = (size_t)p->experts;
    p->unit = 256.0f / (float)(1 << depth);
    p->per_step = 1.0f / (float)p->step;
    p->noise = 0.4f * (float)p->bound * p->unit;
    p->samples = calloc(rows * stride, sizeof *p->samples);
    p->errors = calloc(rows * stride, sizeof *p->errors);
    p->recent = calloc(ERROR_ROWS * stride * experts, sizeof *p->recent);
    p->cells = calloc(experts, sizeof *p->cells);
    p->by_hint = calloc(NODES * HINTS * experts, sizeof *p->by_hint);
    p->by_level = calloc(NODES * LEVELS * experts, sizeof *p->by_level);
    p->slots = calloc(CONTEXTS, sizeof *p->slots);
    if (!p->samples || !p->errors || !p->recent || !p->cells || !p->by_hint || !p->by_level || !p->slots)
        return PRISM_NO_MEMORY;
    for (size_t i = 0; i < MARGIN * stride; i++) p->samples[i] = 128;
    for (int count = 0; count <= COUNT_MAX; count++) {
        p->cell_rates[count] = 1.0f / ((float)count + 1.5f);
        for (int c = 0; c < CONTEXTS; c++) /* exact values are seen rarely, and mean the more */
            p->slot_rates[c][count] = c < 2 ? 0.01f + 0.2f * p->cell_rates[count] : 0.05f + 0.6f * p->cell_rates[count];
    }
    for (int node = 0; node < NODES; node++)
        for (int c = 0; c < CONTEXTS; c++) p->gates[node][c] = 1;
    for (int a = 0; a < ACTIVITIES; a++) { /* the inverse of quarter_octaves(x + 1/32) + 20 */
        const float mean = as_float((a - 20 + 4 * 127) * (1 << 21));
        for (int e = 0; e < p->experts; e++)
            for (int h = 0; h < HINTS; h++) p->cells[e][a][h].mean = mean;
    }
    for (int e = 0; e < p->experts; e++) { /* half from either set of weights, most from the blend */
        const float weight = e == p->experts - 1 ? 0.35f : 0.15f / (float)(p->experts - 1);
        for (int k = 0; k < NODES * HINTS; k++) p->by_hint[k * p->experts + e] = weight;
        for (int k = 0; k < NODES * LEVELS; k++) p->by_level[k * p->experts + e] = weight;
    }
    for (int f = 0; f < p->experts - 2; f++) filter_open(&p->filters[f], f, p->references, EFFORTS[p->effort].idle[f]);
    return PRISM_OK;
}

prism_plane *prism_open(int width, int height, int depth, int low, int high, int references, int effort, int bound,
                        int grid, uint16_t *samples, const uint8_t *stream, size_t size) {
    prism_plane *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->width = width, p->height = height, p->low = low, p->high = high;
    p->references = references, p->effort = effort, p->experts = EFFORTS[effort].experts;
    p->bound = bound, p->step = 2 * bound + 1, p->grid = grid;
    p->stride = width + 2 * MARGIN;
    p->output = samples;
    coder_open(&p->coder, stream, size);
    const size_t rows = (size_t)height + 2 * MARGIN, stride = (size_t)p->stride;
    if ((p->experts ? thorough_open : quick_open)(p, depth, rows, stride)) {
        prism_close(p);
        return NULL;
    }
    return p;
}

static code_rows *choose_loop(const prism_plane *p) {
    if (!p->experts) return prism_code_quick;
#ifdef CALO_X86_64
    if (!portable && calo_processor() & CALO_AVX2) return p->experts == 4 ? prism_code_4_avx2 : prism_code_8_avx2;
#endif
    return p->experts == 4 ? prism_code_4 : prism_code_8;
}

int prism_code(prism_plane *p, const prism_plane *first, const prism_plane *second, int end) {
    if (end > p->height) end = p->height;
    const float_mode before = begin_standard_floats();
    const int status = choose_loop(p)(p, first, second, end);
    end_standard_floats(&before);
    return status;
}

const uint8_t *prism_finish(prism_plane *p, size_t *size) {
    if (p->coder.in) {
        *size = (size_t)(p->coder.end - p->coder.in);
        return p->coder.in;
    }
    coder_flush(&p->coder);
    *size = p->coder.size;
    return p->coder.no_memory ? NULL : p->coder.out;
}

void prism_close(prism_plane *p) {
    if (!p) return;
    free(p->whole), free(p->missed), free(p->quick), free(p->shapes);
    free(p->samples), free(p->errors), free(p->recent), free(p->cells), free(p->by_hint), free(p->by_level);
    free(p->slots), free(p->coder.out), free(p);
}

void prism_portable(int yes) { portable = yes; }
