#include "network.h"

#include <math.h>

static int portable = 0;

void fit_portable(int yes) { portable = yes; }

static int has_avx2(void) {
#if defined(__x86_64__)
    return !portable && __builtin_cpu_supports("avx2");
#else
    return 0;
#endif
}

/* --- numbers of a network ----------------------------------------------------------------------------------------- */

static const int32_t *take(const int32_t **numbers, int count) {
    const int32_t *const start = *numbers;
    *numbers += count;
    return start;
}

parts fit_parts(const fit_shape *s, const int32_t *numbers) {
    const int d = s->neighbours + s->features, k = s->grids, c = s->channels, h = s->hidden;
    const int32_t *n = numbers;
    parts p;
    for (int i = 0; i < FIT_FEATURE_GRIDS; i++) p.features[i] = take(&n, s->features * (k - 1 - i));
    p.first = take(&n, d * d), p.first_bias = take(&n, d);
    p.second = take(&n, d * d), p.second_bias = take(&n, d);
    p.last = take(&n, 2 * d), p.linear = take(&n, 2 * d), p.grid_bias = take(&n, 2 * k);
    p.taps = take(&n, 4 * (k - 1));
    p.hidden = take(&n, h * k), p.hidden_bias = take(&n, h);
    p.output = take(&n, c * h), p.output_bias = take(&n, c), p.straight = take(&n, c * k);
    for (int i = 0; i < 2; i++) p.residual[i] = take(&n, 9 * c * c), p.residual_bias[i] = take(&n, c);
    return p;
}

static int within(int x, int least, int most) { return least <= x && x <= most; }

static int is_shape(const fit_shape *s) {
    return within(s->height, 1, FIT_SIDE_MAX) && within(s->width, 1, FIT_SIDE_MAX) &&
           (s->channels == 1 || s->channels == 3) && within(s->grids, FIT_GRIDS_MIN, FIT_GRIDS_MAX) &&
           within(s->neighbours, 1, FIT_NEIGHBOURS_MAX) && within(s->features, 1, FIT_FEATURES_MAX) &&
           within(s->hidden, 1, FIT_HIDDEN_MAX) && within(s->depth, 1, 16) && within(s->state_bits, 0, 12) &&
           within(s->hidden_shift, 0, 24) && within(s->output_shift, 0, 24) && within(s->residual_shift, 0, 24);
}

/* What is left of FIT_ROW_MAX by a row of weights; negative where one is no word. `own` is the one that a state adds to. */
static int64_t room(int64_t left, const int32_t *row, int count, int own) {
    for (int i = 0; i < count; i++) {
        const int64_t weight = (int64_t)row[i] + (i == own ? 1 << FIT_WEIGHT_BITS : 0);
        left -= weight < 0 ? -weight : weight;
        if (weight < -32767 || weight > 32767) return -1;
    }
    return left;
}

static int rows_fit(const int32_t *matrix, int rows, int columns, int square) {
    for (int o = 0; o < rows; o++)
        if (room(FIT_ROW_MAX, matrix + (size_t)o * (size_t)columns, columns, square ? o : -1) < 0) return 0;
    return 1;
}

/* The same of two matrices of which the sums are added. */
static int double_rows_fit(const int32_t *one, int one_columns, const int32_t *other, int other_columns, int rows) {
    for (int o = 0; o < rows; o++) {
        const int64_t left = room(FIT_ROW_MAX, one + o * one_columns, one_columns, -1);
        if (left < 0 || room(left, other + o * other_columns, other_columns, -1) < 0) return 0;
    }
    return 1;
}

static int biases_fit(const int32_t *biases, int count) {
    for (int i = 0; i < count; i++)
        if (biases[i] < -FIT_BIAS_MAX || biases[i] > FIT_BIAS_MAX) return 0;
    return 1;
}

int fit_check(const fit_shape *s, const int32_t *numbers) {
    if (!is_shape(s)) return FIT_CORRUPT;
    const parts p = fit_parts(s, numbers);
    const int d = s->neighbours + s->features, k = s->grids, c = s->channels, h = s->hidden;
    int fits = rows_fit(p.first, d, d, 1) && rows_fit(p.second, d, d, 1) && double_rows_fit(p.last, d, p.linear, d, 2) &&
               rows_fit(p.hidden, h, k, 0) && double_rows_fit(p.output, h, p.straight, k, c);
    for (int i = 0; i < FIT_FEATURE_GRIDS; i++) fits = fits && rows_fit(p.features[i], s->features, k - 1 - i, 0);
    for (int i = 0; i < k - 1; i++) fits = fits && rows_fit(p.taps + 4 * i, 1, 4, 0);
    for (int i = 0; i < 2; i++)
        fits = fits && rows_fit(p.residual[i], c, 9 * c, 0) && biases_fit(p.residual_bias[i], c);
    fits = fits && biases_fit(p.first_bias, d) && biases_fit(p.second_bias, d) && biases_fit(p.grid_bias, 2 * k) &&
           biases_fit(p.hidden_bias, h) && biases_fit(p.output_bias, c);
    return fits ? FIT_OK : FIT_CORRUPT;
}

size_t fit_number_count(const fit_shape *s) {
    const int d = s->neighbours + s->features, k = s->grids, c = s->channels, h = s->hidden;
    return (size_t)(s->features * (3 * k - 6) + 2 * d * (d + 1) + 4 * d + 2 * k + 4 * (k - 1) + h * (k + 1 + c) +
                    c * (1 + k) + 2 * c * (9 * c + 1));
}

size_t fit_latent_count(const fit_shape *s) {
    size_t count = 0;
    for (int k = 0; k < s->grids; k++) count += (size_t)grid_height(s, k) * (size_t)grid_width(s, k);
    return count;
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

/* Bits of a decision by its chance. */
static float *make_costs(void) {
    float *costs = malloc(65537 * sizeof *costs);
    for (int i = 1; costs && i <= 65536; i++) costs[i] = -log2f((float)i / 65536);
    return costs;
}

fit_coder *fit_open(const uint8_t *stream, size_t size, int count) {
    fit_coder *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    coder_open(&c->stream, stream, size);
    if (!stream && count && !(c->costs = make_costs())) {
        free(c);
        return NULL;
    }
    return c;
}

void fit_close(fit_coder *c) {
    if (c) free(c->stream.out), free(c->costs);
    free(c);
}

void fit_code_bits(fit_coder *c, uint32_t *values, int count, int bits) {
    for (int i = 0; i < count; i++) {
        uint32_t found = 0;
        for (int place = bits - 1; place >= 0; place--) found = 2 * found + (uint32_t)decide(c, 32768, values[i] >> place & 1);
        values[i] = found;
    }
}

void fit_code_values(fit_coder *c, int32_t *values, size_t count, int scale, int limit) {
    for (size_t i = 0; i < count; i++) values[i] = code_laplace(c, scale, 0, limit, values[i]);
}

double fit_bits(const fit_coder *c) { return c->bits; }

const uint8_t *fit_finish(fit_coder *c, size_t *size) {
    if (c->stream.in) {
        *size = (size_t)(c->stream.end - c->stream.in);
        return c->stream.beyond > 4 ? NULL : c->stream.in;
    }
    coder_flush(&c->stream);
    *size = c->stream.size;
    return c->stream.no_memory ? NULL : c->stream.out;
}

/* --- the loops ---------------------------------------------------------------------------------------------------- */

int fit_code_latents(fit_coder *c, const fit_shape *s, const int32_t *numbers, int16_t *latents) {
    const parts p = fit_parts(s, numbers);
#if defined(__x86_64__)
    if (has_avx2()) return fit_code_grids_avx2(c, s, &p, latents);
#endif
    return fit_code_grids(c, s, &p, latents);
}

int fit_render(const fit_shape *s, const int32_t *numbers, const int16_t *latents, uint16_t *pixels) {
    const parts p = fit_parts(s, numbers);
#if defined(__x86_64__)
    if (has_avx2()) return fit_render_avx2(s, &p, latents, pixels);
#endif
    return fit_render_plain(s, &p, latents, pixels);
}
