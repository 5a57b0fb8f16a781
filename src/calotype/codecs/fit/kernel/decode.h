/* Decoding of `fit`, and what its encoder shares with it: integers only, so that every machine gets the same pixels.
   docs/format/fit.md says what is computed. */
#ifndef FIT_DECODE_H
#define FIT_DECODE_H

#include <stddef.h>
#include <stdint.h>

enum {
    FIT_OK,
    FIT_CORRUPT,
    FIT_NO_MEMORY,

    FIT_SIDE_MAX = 4096,
    FIT_GRIDS_MIN = 4,
    FIT_GRIDS_MAX = 9,
    FIT_NEIGHBOURS_MAX = 14,
    FIT_FEATURES_MAX = 8,
    FIT_HIDDEN_MAX = 64,
    FIT_FEATURE_GRIDS = 3,
    FIT_LATENT_MAX = 255,

    FIT_WEIGHT_BITS = 10,  /* behind the point of the context network's weights */
    FIT_STATE_BITS = 6,    /* of its inputs and states */
    FIT_TAP_BITS = 13,     /* of the taps of the upsampling */
    FIT_PIXEL_BITS = 13,   /* of the synthesis's results */
    FIT_ROW_MAX = 60000,   /* of a sum of |weights|: times 2^15, with a bias, it stays below 2^31 */
    FIT_BIAS_MAX = 1 << 27,
};

typedef struct {
    int height, width, channels, grids, neighbours, features, hidden;
    int depth;             /* of the samples */
    int state_bits;        /* behind the point of upsampled latents and hidden layer, 0 to 12 */
    int hidden_shift, output_shift, residual_shift; /* what the layers' sums are shifted by, 0 to 24 */
} fit_shape;

/* How many numbers a network has; they come in the order of `Architecture.shapes`, as integers that count as
   docs/format/fit.md says. A1 and A2 are without the state that they are added to. */
size_t fit_number_count(const fit_shape *shape);

/* FIT_OK if the shape is one and no sum of these numbers can overflow. */
int fit_check(const fit_shape *shape, const int32_t *numbers);

/* How many latents there are, all grids one after the other from grid 0 on. */
size_t fit_latent_count(const fit_shape *shape);

/* One stream: decoding where there are bytes, counting bits where there are none and `count`, else encoding. */
typedef struct fit_coder fit_coder;
fit_coder *fit_open(const uint8_t *stream, size_t size, int count);
void fit_close(fit_coder *coder);

/* Codes `count` values of so many bits, 1 to 16, all alike in chance. */
void fit_code_bits(fit_coder *coder, uint32_t *values, int count, int bits);

/* Codes values of a Laplace distribution around 0, within -limit .. limit. */
void fit_code_values(fit_coder *coder, int32_t *values, size_t count, int scale, int limit);

/* Codes the latents by the context network of checked numbers; each is within FIT_LATENT_MAX of 0. */
int fit_code_latents(fit_coder *coder, const fit_shape *shape, const int32_t *numbers, int16_t *latents);

/* Bits so far of one that counts. */
double fit_bits(const fit_coder *coder);

/* Encoding: the stream, until the coder is closed. Decoding: what was not asked for; NULL if more was. */
const uint8_t *fit_finish(fit_coder *coder, size_t *size);

/* Pixels (height, width, channels) of latents by the upsampling and synthesis of checked numbers. */
int fit_render(const fit_shape *shape, const int32_t *numbers, const int16_t *latents, uint16_t *pixels);

/* Leaves wider instructions unused from now on, or not. */
void fit_portable(int yes);

#endif
