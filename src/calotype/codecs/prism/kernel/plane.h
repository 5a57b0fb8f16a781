/* What the coder of a plane remembers. The quick model works on whole samples; the others on floats in units of 8 bits,
   whatever the depth. Rows have MARGIN entries more on both sides, planes MARGIN rows more above. */
#ifndef PRISM_PLANE_H
#define PRISM_PLANE_H

#include "coder.h"
#include "numbers.h"
#include "prism.h"

enum {
    MARGIN = 4,          /* as far as predictors reach */
    NODES = 50,          /* kinds of decision in the walk to a sample */
    HINTS = 16,          /* levels of the errors that the references had here */
    COUNT_MAX = 255,     /* what counters of use stop at */

    FILTERS_MAX = 6,
    ORDER_MAX = 32,      /* inputs of a filter, a multiple of 8 */
    RUNS_MAX = 16,
    ACTIVITIES = 64,     /* levels of the errors nearby */
    LEVELS = 24,         /* levels of the expected error */
    CONTEXTS = 4,
    SLOT_BITS = 18,
    ERROR_ROWS = 4,      /* a power of two above the three that are looked at */

    QUICK_HINTS = 8,
    QUICK_LEVELS = 24,
    QUICK_SHAPES = 16 * QUICK_LEVELS / 2,
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
    float drift;               /* variance that a weight gains with every sample learnt from */
    int order;                 /* a multiple of 8; inputs beyond the runs are 0 */
    int idle;                  /* 0, 1, 3, 7: learns from all, half, a quarter, an eighth of the samples */
    int run_count;
    const run *runs;
    const float *at[RUNS_MAX]; /* where the runs begin for the first sample of this row */
} filter;

/* Mean size of the errors in one situation. */
typedef struct {
    float mean;
    uint32_t count;
} cell;

/* What a context adds to a decision, in the logistic domain. */
typedef struct {
    float bias;
    uint32_t count;
} slot;

/* Quick model: what is known of samples with the same errors around them. */
typedef struct {
    int32_t mean;               /* size of the error, in 2^-12 */
    int32_t bias;               /* mean error, in 2^-14 */
    uint16_t chances[NODES][2]; /* of a decision, in 2^-16; learning quickly and slowly */
} quick_cell;

struct prism_plane {
    int width, height, low, high, references, effort;
    int bound, step;            /* samples may be off by `bound`; bins of `step` = 2 bound + 1 values are told apart */
    int grid;                   /* whether bins are centred at multiples of step, not at the guess */
    int rows;                   /* done */
    int stride;
    uint16_t *output;           /* [height][width] */
    bit_coder coder;

    int32_t *whole;             /* quick model: [MARGIN + height][stride] samples */
    int32_t *missed;            /* their errors */
    quick_cell (*quick)[QUICK_HINTS];
    uint16_t (*shapes)[NODES][2]; /* [QUICK_SHAPES] chances by the samples nearby */

    float unit;                 /* the difference between one value and the next */
    float per_step;             /* 1 / step */
    float noise;                /* what bins add to the noise that filters expect of samples */
    int experts;
    float *samples;             /* [MARGIN + height][stride] */
    float *errors;              /* [MARGIN + height][stride] of the blend */
    float *recent;              /* [ERROR_ROWS][stride][experts] errors of all */
    cell (*cells)[ACTIVITIES][HINTS]; /* [experts] */
    float *by_hint;             /* [NODES][HINTS][experts] weights of the mixing */
    float *by_level;            /* [NODES][LEVELS][experts] */
    slot (*slots)[1 << SLOT_BITS]; /* [CONTEXTS] */
    float gates[NODES][CONTEXTS]; /* how far contexts are trusted */
    float cell_rates[COUNT_MAX + 1], slot_rates[CONTEXTS][COUNT_MAX + 1]; /* of learning, by how often it was done */
    filter filters[FILTERS_MAX];
};

/* Bins of values around a guess, by number: bin 0 around `origin`; with bound 0 each value is a bin. */
typedef struct {
    int origin, first, last;
} bins;

static inline bins bins_around(const prism_plane *p, int origin) {
    const int below = origin - p->low - p->bound, above = p->high - origin - p->bound;
    if (!p->bound) return (bins){origin, -below, above};
    return (bins){origin, below > 0 ? -((below + p->step - 1) / p->step) : 0, above > 0 ? (above + p->step - 1) / p->step : 0};
}

/* The centre of bin 0, where samples have a bound. */
static inline int origin_near(const prism_plane *p, int guess) {
    if (p->grid) guess = (guess + p->bound) / p->step * p->step;
    return guess < p->low ? p->low : at_most(guess, p->high);
}

/* The bin of a value. */
static inline int bin_of(const prism_plane *p, const bins *b, int value) {
    const int distance = value - b->origin;
    return distance < 0 ? -((p->bound - distance) / p->step) : (distance + p->bound) / p->step;
}

/* What a value in bin `number` becomes: no value of the plane in this bin is further than the bound from it. */
static inline int bin_value(const prism_plane *p, const bins *b, int number) {
    const int centre = b->origin + number * p->step;
    return centre < p->low ? p->low : at_most(centre, p->high);
}

/* The walk to a sample's bin: is it at least number `threshold`? First up or down from the guess in growing strides, then
   halving what is left. Where samples have a bound, bin 0 is asked for before all. */
typedef struct {
    int low, high;              /* the bin lies in [low, high) */
    int threshold;
    int hole;                   /* whether bin 0 is known not to be it */
    int up, strides, halvings;
    enum { AT_START, STRIDING, HALVING, AT_CENTRE } phase;
} walk;

static inline walk walk_from(const prism_plane *p, const bins *b) {
    walk w = {.low = b->first, .high = b->last + 1, .threshold = 1};
    if (p->bound) w.phase = AT_CENTRE;
    if (w.threshold <= b->first) w.threshold = b->first + 1;
    if (w.threshold > b->last) w.threshold = b->last;
    return w;
}

/* What kind of decision comes next. */
static inline int walk_node(const walk *w) {
    if (w->phase == AT_START) return 0;
    if (w->phase == AT_CENTRE) return 49;
    if (w->phase == STRIDING) return 1 + 8 * w->up + at_most(w->strides, 7);
    return 17 + 16 * w->up + 4 * at_most(w->strides, 3) + at_most(w->halvings, 3);
}

/* After the decision whether it is bin 0; says as `walk_on`. */
static inline int walk_from_centre(walk *w, int bit) {
    if (bit) {
        w->low = 0, w->high = 1;
        return 0;
    }
    w->hole = w->threshold = 1;
    w->phase = w->low < 0 && w->high > 1 ? AT_START : STRIDING;
    if (w->phase == STRIDING) {
        w->up = w->low == 0;
        if (w->up)
            w->low = 1;
        else
            w->high = 0;
    }
    return w->phase == STRIDING;
}

/* Takes a decision; says whether a stride is to be chosen next by `walk_stride`. */
static inline int walk_on(walk *w, int bit) {
    if (w->phase == AT_CENTRE) return walk_from_centre(w, bit);
    if (bit)
        w->low = w->threshold;
    else
        w->high = w->phase == AT_START ? w->threshold - w->hole : w->threshold;
    if (w->phase == AT_START)
        w->up = bit, w->phase = STRIDING;
    else if (w->phase == HALVING)
        w->halvings++;
    else if (bit == w->up)
        w->strides++;
    else
        w->phase = HALVING;
    w->threshold = (w->low + w->high + !w->up) >> 1;
    return w->phase == STRIDING;
}

static inline void walk_stride(walk *w, int stride) {
    if (stride < 1) stride = 1;
    w->threshold = w->up ? w->low + stride : w->high - stride;
    if (w->threshold >= w->high) w->threshold = w->high - 1;
    if (w->threshold <= w->low) w->threshold = w->low + 1;
}

static inline int plane_status(const prism_plane *p) {
    if (p->coder.no_memory) return PRISM_NO_MEMORY;
    return p->coder.beyond > 4 ? PRISM_CORRUPT : PRISM_OK;
}

#endif
