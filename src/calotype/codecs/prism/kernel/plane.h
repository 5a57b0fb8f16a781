/* What a plane's coder remembers. Samples are kept as floats in units of 8 bits, whatever their depth. */
#ifndef PRISM_PLANE_H
#define PRISM_PLANE_H

#include "coder.h"
#include "numbers.h"
#include "prism.h"

enum {
    MARGIN = 4,     /* samples kept beside and rows kept above the plane, as far as predictors reach */
    FILTERS_MAX = 6,
    EXPERTS_MAX = FILTERS_MAX + 2, /* the median rule and the blend of all */
    ORDER_MAX = 32, /* inputs of a filter, a multiple of 8 */
    RUNS_MAX = 16,
    FAST_LEVELS = 24,
    FAST_SHAPES = 16 * 12,
    NODES = 49,     /* places in the walk to a sample */
    LEVELS = 24,    /* of the expected error */
    HINTS = 16,     /* levels of the errors that the references had here */
    ACTIVITIES = 64,
    CONTEXTS = 4,
    SLOT_BITS = 16,
    ERROR_ROWS = 4,
    COUNT_MAX = 255,
};

/* Neighbours side by side: `count` of them from (x, y) on, relative to the sample; plane 0 is its own. */
typedef struct {
    signed char plane, y, x, count;
} run;

/* A linear predictor with Kalman's update: weights that drift at random, samples with known noise. */
typedef struct {
    float covariance[ORDER_MAX][ORDER_MAX];
    float weight[ORDER_MAX];
    float input[ORDER_MAX];
    float gain[ORDER_MAX];
    float drift;
    int idle;       /* 0, 1, 3, 7: learns from every, every second, fourth, eighth sample */
    int order;      /* a multiple of 8; unused inputs are 0 */
    const run *runs;
    const float *at[RUNS_MAX]; /* where the runs begin for the first sample of this row */
    int run_count;
} filter;

typedef struct {
    float mean;
    uint32_t count;
} cell;

typedef struct {
    float bias;
    uint32_t count;
} slot;

/* What the quick model knows of samples with the same errors around them. */
typedef struct {
    int32_t mean;           /* of the error's size, in 2^-12 */
    int32_t bias;           /* mean error, in 2^-17 */
    uint16_t chances[NODES][2]; /* of each decision, quick and slow to learn, in 2^-16 */
} fast_cell;

struct prism_plane {
    int width, height, low, high, references, effort;
    float unit;             /* of a step of the samples */
    int rows;               /* done */
    int stride;
    uint16_t *output;       /* what the caller sees of the samples */
    float *samples;         /* [MARGIN + height][stride] */
    float *errors;          /* [height][stride] of the blend, for planes that refer to this one */
    int experts;
    float *recent;          /* [ERROR_ROWS][stride][experts] errors */
    filter filters[FILTERS_MAX];
    cell (*cells)[ACTIVITIES][HINTS]; /* [experts] mean error by activity */
    float *by_hint;         /* [NODES][HINTS][experts] weights of the mixing */
    float *by_level;        /* [NODES][LEVELS][experts] */
    slot (*slots)[1 << SLOT_BITS]; /* [CONTEXTS] */
    int32_t *whole, *missed; /* quick model: [MARGIN + height][stride] samples, errors */
    fast_cell (*fast)[8];   /* by the errors nearby and those of the references */
    uint16_t (*shapes)[NODES][2]; /* quick model: chances by the samples nearby and the expected error */
    float slot_rates[COUNT_MAX + 1], cell_rates[COUNT_MAX + 1]; /* of learning, by how often it was done before */
    prism_coder coder;
};

#endif
