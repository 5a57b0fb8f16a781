/* What the loops of all instruction sets share: planes, packed parameters, jobs. */
#ifndef FIT_MODEL_H
#define FIT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "encode.h"

enum {
    GRIDS = 9,            /* at most, of each */
    NEIGHBOURS = 14,
    FEATURES = 8,
    FEATURE_GRIDS = 3,
    INPUTS = NEIGHBOURS + FEATURES,
    HIDDEN = 64,
    CHANNELS = 3,
    REACH = 3,            /* rows and columns that neighbours lie away */
    LEFT = 16,            /* columns beside the rows of a plane, so that vectors may reach over */
    REACH_OVER = 64,      /* positions that a layer may write beyond the last */
    RIGHT = REACH_OVER,
    BLOCK = 192,          /* positions that the context network works on at a time */
    PIECE = 96,           /* columns that the synthesis works on at a time */
    RING = 5,             /* rows of the synthesis that are kept */
    BAND = 64,            /* rows of a job */
    WIDEST = 16,          /* lanes of a vector */
};

/* Floats [height][stride]; `at` is row 0, column 0. */
typedef struct {
    float *at;
    int height, width, stride;
} plane;

static inline float *row_of(const plane *p, int row) { return p->at + (ptrdiff_t)row * p->stride; }

/* Latents and their Adam moments; rounded latents, the slope of the rounding there, bits, and the gradient of the loss.
   Planes are zero outside the grid, with REACH rows above. */
typedef struct {
    plane latents, first, second, rounded, slope, bits, gradient;
    uint32_t start;       /* number of its first latent in the picture */
} grid;

/* A job's part of a phase; those of one phase may run at the same time. */
typedef enum { ROUND, CHAIN, FEATURE, ROWS, CHAIN_BACK, FEATURE_BACK, UPDATE } work;

typedef struct {
    work kind;
    int grid;             /* or the channel of a chain */
    int feature;
    int first, last;      /* rows */
    double bits, error;   /* results */
    float *gradient;      /* [parameters] */
} job;

/* Where the parts of the parameter vector begin. */
typedef struct {
    int features[FEATURE_GRIDS], a1, bias1, a2, bias2, a3, l, b, taps, b1, c1, b2, c2, m, r1, bias_r1, r2, bias_r2, all;
} places;

/* Parameters as `layer` wants them: [inputs][outputs, padded to 4]. Residual connections are in the matrices. */
typedef struct {
    float first[INPUTS * 24], first_bias[24], second[INPUTS * 24], second_bias[24], third[2 * INPUTS * 4];
    float second_back[INPUTS * 24], third_back[2 * 24], first_back[(INPUTS + 2) * 24];
    float hidden[GRIDS * HIDDEN], hidden_bias[HIDDEN], output[(HIDDEN + GRIDS) * 4], output_bias[4];
    float hidden_back[CHANNELS * HIDDEN], input_back[(HIDDEN + CHANNELS) * 12];
    float residual[2][9 * CHANNELS * 4], residual_bias[2][4], residual_back[2][9 * CHANNELS * 4];
} packed;

struct fitter {
    int height, width, channels, grids, neighbours, features, hidden, inputs;
    int offsets[NEIGHBOURS][2];
    grid grid[GRIDS];
    plane picture[CHANNELS];                          /* minus 1/2 */
    plane weight;                                     /* of the squared error of each pixel */
    plane output[CHANNELS];                           /* of the last iteration, minus 1/2 */
    plane up[GRIDS][GRIDS], up_gradient[GRIDS][GRIDS];  /* [channel][level]: of grid `channel` at the size of grid `level` */
    plane feature[FEATURE_GRIDS][FEATURES][GRIDS];    /* [grid][feature][level]: sum of the grids from `level` on */
    plane feature_gradient[FEATURE_GRIDS][FEATURES][GRIDS];
    places places;
    packed packed;
    const float *parameters;                          /* of the iteration at work */
    fitter_settings settings;
    job *jobs;
    int phases[8];                                    /* first job of each phase, and the end */
    int phase_count;
    float *floats;                                    /* all memory of the planes */
    float *gradients;                                 /* of jobs */
    float **scratch;                                  /* of threads */
    int scratch_count;
};

typedef void run_job(fitter *, job *, float *scratch);
run_job fitter_run_portable, fitter_run_avx2, fitter_run_avx512;

#endif
