/* Fitting a picture's latents and networks: one iteration of forward, backward and Adam for the latents.
   ../architecture.py says what the model is and how its parameters lie in a vector; docs/explain/fit.md says how it is
   fitted. C11 with the vector extension of GCC and Clang, and POSIX threads; no Python, no global state but a switch for
   tests. */
#ifndef FIT_ENCODE_H
#define FIT_ENCODE_H

#include <stdint.h>

enum {
    FITTER_OK = 0,
    FITTER_NO_MEMORY = -2,
    FITTER_LATENT_MAX = 255,
};

typedef struct fitter fitter;

typedef struct {
    float lmbda;          /* the loss is squared error, mean over channels and summed over pixels, + lmbda * bits */
    float hard;           /* share of the latents that are rounded and have no slope, others in each iteration; the rest
                             are soft-rounded; 1: none moves */
    float temperature;    /* of soft rounding */
    float noise;          /* its standard deviation */
    uint32_t seed;        /* of the noise; another one in each iteration */
    float step;           /* of Adam for the latents; 0: they stay as they are */
    float decay[2];       /* of its two moments */
    float correction[2];  /* 1 - decay^t */
    float epsilon;
    int stride;           /* only every so many-th block tells the networks' gradient, scaled up */
    int only_loss;        /* 1: no gradient and no step, in about half the time */
} fitter_settings;

typedef struct {
    double bits;          /* of all latents */
    double error;         /* squared, of samples in [0, 1], weighted, summed over pixels and channels */
} fitter_loss;

/* `offsets` [neighbours][2]: row and column of each. Latents are zero. NULL: no memory. */
fitter *fitter_open(int height, int width, int channels, int grids, int neighbours, int features, int hidden,
                    const int8_t *offsets);

/* What the latents should give from now on: `picture` [channels][height][width] in [0, 1], and `weight` [height][width] of
   each pixel's squared error. Both are copied. */
void fitter_aim(fitter *f, const float *picture, const float *weight);

/* One iteration: the gradient of the loss for `parameters`, of the same length, and a step of the latents. The result
   does not depend on `threads`. */
int fitter_iterate(fitter *f, const fitter_settings *settings, const float *parameters, float *gradient,
                   fitter_loss *loss, int threads);

/* Latents of one grid [height][width], not rounded; to write them sets Adam back. */
void fitter_read(const fitter *f, int grid, float *latents);
void fitter_write(fitter *f, int grid, const float *latents);

/* Of the last iteration: (soft-)rounded latents; the loss's slope by them times the slope of the rounding, which is 0
   where it was hard, but 1 where it was so for all; bits of each latent. */
void fitter_rounded(const fitter *f, int grid, float *latents);
void fitter_gradient(const fitter *f, int grid, float *gradient);
void fitter_bits(const fitter *f, int grid, float *bits);

/* What its latents gave in one channel [height][width], less 1/2; the weighted squared error of each pixel, summed over
   channels. */
void fitter_output(const fitter *f, int channel, float *samples);
void fitter_errors(const fitter *f, float *errors);

void fitter_close(fitter *f);

/* For tests: the widest instruction set that may be used; 0 none, 1 AVX2, 2 AVX-512. */
void fitter_widest(int level);

#endif
