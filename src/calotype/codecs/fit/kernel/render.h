/* Upsampling and synthesis; compiled plain and for AVX2. Rows are worked on in blocks of 16 words. */
#include "network.h"
#include "words.h"

enum { CHANNELS_MAX = 3, LAYER_PAIRS_MAX = (FIT_GRIDS_MAX + 1) / 2, RESIDUAL_PAIRS_MAX = 14 };

/* Weights, each for the pair of words that it is for. */
typedef struct {
    int pairs, residual_pairs;
    int32_t hidden[FIT_HIDDEN_MAX + 1][LAYER_PAIRS_MAX], hidden_bias[FIT_HIDDEN_MAX + 1];
    int32_t output[CHANNELS_MAX][FIT_HIDDEN_MAX / 2], straight[CHANNELS_MAX][LAYER_PAIRS_MAX];
    int32_t output_bias[CHANNELS_MAX];
    int32_t residual[2][CHANNELS_MAX][RESIDUAL_PAIRS_MAX], residual_bias[2][CHANNELS_MAX];
} render_weights;

static void arrange(render_weights *w, const fit_shape *s, const parts *p) {
    const int grids = s->grids, hidden = s->hidden, channels = s->channels;
    memset(w, 0, sizeof *w);
    w->pairs = (grids + 1) / 2;
    for (int i = 0; i < hidden; i++) {
        w->hidden_bias[i] = p->hidden_bias[i] + half_of(s->hidden_shift);
        for (int j = 0; j < w->pairs; j++)
            w->hidden[i][j] = pair_of(p->hidden[i * grids + 2 * j], 2 * j + 1 < grids ? p->hidden[i * grids + 2 * j + 1] : 0);
    }
    const int lines = 3 * channels; /* of each channel the row above, its own, the one below */
    w->residual_pairs = lines + (lines + 1) / 2;
    for (int c = 0; c < channels; c++) {
        w->output_bias[c] = p->output_bias[c] + half_of(s->output_shift);
        for (int j = 0; j < w->pairs; j++)
            w->straight[c][j] =
                pair_of(p->straight[c * grids + 2 * j], 2 * j + 1 < grids ? p->straight[c * grids + 2 * j + 1] : 0);
        for (int j = 0; 2 * j < hidden; j++)
            w->output[c][j] = pair_of(p->output[c * hidden + 2 * j], 2 * j + 1 < hidden ? p->output[c * hidden + 2 * j + 1] : 0);
        for (int layer = 0; layer < 2; layer++) {
            const int32_t *taps = p->residual[layer] + c * 9 * channels; /* left, middle, right of each line */
            w->residual_bias[layer][c] = p->residual_bias[layer][c] + half_of(s->residual_shift);
            for (int line = 0; line < lines; line++)
                w->residual[layer][c][line] = pair_of(taps[3 * line], taps[3 * line + 1]);
            for (int line = 0; line < lines; line += 2)
                w->residual[layer][c][lines + line / 2] =
                    pair_of(taps[3 * line + 2], line + 1 < lines ? taps[3 * line + 5] : 0);
        }
    }
}

/* --- upsampling -------------------------------------------------------------------------------------------------- */

static inline int row_within(int row, int height) { return row < 0 ? 0 : row < height ? row : height - 1; }

/* One row of twice the size: `row` of the result, whose edges are not set. `between` has room for a row with margins. */
static FIT_TARGET void double_row(const int16_t *plane, size_t stride, int height, int width, const int32_t *taps, int row,
                                  int16_t *between, int16_t *out) {
    const int m = row >> 1, odd = row & 1;
    const int16_t *from[4];
    for (int i = 0; i < 4; i++) from[i] = plane + (size_t)row_within(m - 2 + odd + i, height) * stride;
    const words even_low = all_pairs(pair_of(taps[0], taps[2])), even_high = all_pairs(pair_of(taps[3], taps[1]));
    const words odd_low = all_pairs(pair_of(taps[1], taps[3])), odd_high = all_pairs(pair_of(taps[2], taps[0]));
    const words down_low = odd ? odd_low : even_low, down_high = odd ? odd_high : even_high;
    const sums half = all_sums(half_of(FIT_TAP_BITS));
    for (int x = 0; x < width; x += 16) {
        const words a = load_words(from[0] + x), b = load_words(from[1] + x);
        const words c = load_words(from[2] + x), d = load_words(from[3] + x);
        const sums low = dot(dot(half, turns_low(a, b), down_low), turns_low(c, d), down_high);
        const sums high = dot(dot(half, turns_high(a, b), down_low), turns_high(c, d), down_high);
        store_words(between + MARGIN + x, narrow(low, high, FIT_TAP_BITS));
    }
    for (int i = 0; i < 2; i++) {
        between[MARGIN - 1 - i] = between[MARGIN];
        between[MARGIN + width + i] = between[MARGIN + width - 1];
    }
    const int16_t *x0 = between + MARGIN;
    for (int x = 0; x < width; x += 16) {
        const words a = load_words(x0 + x - 2), b = load_words(x0 + x - 1), c = load_words(x0 + x);
        const words d = load_words(x0 + x + 1), e = load_words(x0 + x + 2);
        const words even = narrow(dot(dot(half, turns_low(a, b), even_low), turns_low(c, d), even_high),
                                  dot(dot(half, turns_high(a, b), even_low), turns_high(c, d), even_high), FIT_TAP_BITS);
        const words odds = narrow(dot(dot(half, turns_low(b, c), odd_low), turns_low(d, e), odd_high),
                                  dot(dot(half, turns_high(b, c), odd_low), turns_high(d, e), odd_high), FIT_TAP_BITS);
        store_in_turns(out + 2 * x, even, odds);
    }
}

static void scale_row(const fit_shape *s, const int16_t *latents, int width, int16_t *out) {
    for (int c = 0; c < width; c++) {
        const int32_t value = latents[c] * (1 << s->state_bits);
        out[c] = (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
    }
}

/* --- synthesis --------------------------------------------------------------------------------------------------- */

/* A row of each channel before the residual layers from one of all upsampled grids, the coarsest first. */
static FIT_TARGET void synthesise_row(const render_weights *w, const fit_shape *s, const int16_t *const *upsampled,
                                      int16_t *const *out) {
    const int channels = s->channels;
    for (int x = 0; x < s->width; x += 16) {
        words low[LAYER_PAIRS_MAX], high[LAYER_PAIRS_MAX];
        sums sum[CHANNELS_MAX][2];
        for (int j = 0; j < w->pairs; j++) {
            const words a = load_words(upsampled[2 * j] + x);
            const words b = 2 * j + 1 < s->grids ? load_words(upsampled[2 * j + 1] + x) : a; /* of weight 0 */
            low[j] = turns_low(a, b), high[j] = turns_high(a, b);
        }
        for (int c = 0; c < channels; c++) {
            sum[c][0] = sum[c][1] = all_sums(w->output_bias[c]);
            for (int j = 0; j < w->pairs; j++) {
                const words weight = all_pairs(w->straight[c][j]);
                sum[c][0] = dot(sum[c][0], low[j], weight), sum[c][1] = dot(sum[c][1], high[j], weight);
            }
        }
        for (int i = 0; i < s->hidden; i += 2) {
            words state[2];
            for (int n = 0; n < 2; n++) {
                sums a = all_sums(w->hidden_bias[i + n]), b = a;
                for (int j = 0; j < w->pairs; j++) {
                    const words weight = all_pairs(w->hidden[i + n][j]);
                    a = dot(a, low[j], weight), b = dot(b, high[j], weight);
                }
                state[n] = positive(narrow(a, b, s->hidden_shift));
            }
            const words a = turns_low(state[0], state[1]), b = turns_high(state[0], state[1]);
            for (int c = 0; c < channels; c++) {
                const words weight = all_pairs(w->output[c][i / 2]);
                sum[c][0] = dot(sum[c][0], a, weight), sum[c][1] = dot(sum[c][1], b, weight);
            }
        }
        for (int c = 0; c < channels; c++) store_words(out[c] + x, narrow(sum[c][0], sum[c][1], s->output_shift));
    }
}

/* A row of each channel after a residual layer; `from` are three rows of each, the one above first. */
static FIT_TARGET void residual_row(const render_weights *w, const fit_shape *s, int layer, const int16_t *const *from,
                                    int16_t *const *out) {
    const int channels = s->channels, lines = 3 * channels;
    for (int x = 0; x < s->width; x += 16) {
        sums sum[CHANNELS_MAX][2];
        for (int c = 0; c < channels; c++) sum[c][0] = sum[c][1] = all_sums(w->residual_bias[layer][c]);
        for (int j = 0; j < w->residual_pairs; j++) {
            const int line = j < lines ? j : 2 * (j - lines);
            const words a = load_words(from[line] + x + (j < lines ? -1 : 1));
            const words b = j < lines ? load_words(from[line] + x) : load_words(from[line + 1 < lines ? line + 1 : line] + x + 1);
            const words low = turns_low(a, b), high = turns_high(a, b);
            for (int c = 0; c < channels; c++) {
                const words weight = all_pairs(w->residual[layer][c][j]);
                sum[c][0] = dot(sum[c][0], low, weight), sum[c][1] = dot(sum[c][1], high, weight);
            }
        }
        for (int c = 0; c < channels; c++) {
            words more = narrow(sum[c][0], sum[c][1], s->residual_shift);
            if (layer == 0) more = positive(more);
            store_words(out[c] + x, add_words(load_words(from[3 * c + 1] + x), more));
        }
    }
}

static void repeat_edges(int16_t *row, int width) { row[-1] = row[0], row[width] = row[width - 1]; }

static void write_row(const fit_shape *s, int16_t *const *from, uint16_t *pixels) {
    const int32_t top = (1 << s->depth) - 1, one = 1 << FIT_PIXEL_BITS;
    for (int c = 0; c < s->channels; c++)
        for (int x = 0; x < s->width; x++) {
            int32_t value = from[c][x] + one / 2;
            value = value < 0 ? 0 : value > one ? one : value;
            pixels[x * s->channels + c] = (uint16_t)((value * top + one / 2) >> FIT_PIXEL_BITS);
        }
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

typedef struct {
    int16_t *planes[2];             /* upsampled grids; one pair of neighbouring sizes at a time */
    int16_t *between, *upsampled;   /* a row; a row of each upsampled grid */
    int16_t *rings[2];              /* three rows of each channel before and after the first residual layer */
    int16_t *last;                  /* a row of each channel */
    size_t stride;
} render_work;

static size_t row_stride(int width) { return (size_t)width + 2 * MARGIN + PAD; }

static int16_t *ring_row(const render_work *g, const fit_shape *s, int ring, int channel, int row) {
    return g->rings[ring] + (size_t)(channel * 3 + row_within(row, s->height) % 3) * g->stride + MARGIN;
}

/* A row after one of the residual layers, into the next ring or the last row. */
static void add_layer(const render_weights *w, const fit_shape *s, const render_work *g, int layer, int row) {
    const int16_t *from[3 * CHANNELS_MAX];
    int16_t *out[CHANNELS_MAX];
    for (int c = 0; c < s->channels; c++) {
        for (int i = 0; i < 3; i++) from[3 * c + i] = ring_row(g, s, layer, c, row - 1 + i);
        out[c] = layer ? g->last + (size_t)c * g->stride + MARGIN : ring_row(g, s, 1, c, row);
    }
    residual_row(w, s, layer, from, out);
    for (int c = 0; c < s->channels; c++) repeat_edges(out[c], s->width);
}

static void upsample_coarse(const fit_shape *s, const parts *p, const int16_t *const *grids, const render_work *g) {
    for (int k = s->grids - 1; k >= 1; k--) {
        const int height = grid_height(s, k), width = grid_width(s, k), above = s->grids - 1 - k;
        const size_t stride = row_stride(width), plane = stride * (size_t)height;
        int16_t *out = g->planes[k & 1];
        if (above) {
            const int coarse_height = grid_height(s, k + 1), coarse_width = grid_width(s, k + 1);
            const size_t coarse_stride = row_stride(coarse_width);
            for (int n = 0; n < above; n++)
                for (int r = 0; r < height; r++)
                    double_row(g->planes[(k + 1) & 1] + (size_t)n * coarse_stride * (size_t)coarse_height, coarse_stride,
                               coarse_height, coarse_width, p->taps + 4 * k, r, g->between,
                               out + (size_t)n * plane + (size_t)r * stride);
        }
        for (int r = 0; r < height; r++)
            scale_row(s, grids[k] + (size_t)r * (size_t)width, width, out + (size_t)above * plane + (size_t)r * stride);
    }
}

int RENDER(const fit_shape *s, const parts *p, const int16_t *latents, uint16_t *pixels) {
    const int16_t *grids[FIT_GRIDS_MAX], *upsampled[FIT_GRIDS_MAX];
    for (int k = 0; k < s->grids; k++) {
        grids[k] = latents;
        latents += (size_t)grid_height(s, k) * (size_t)grid_width(s, k);
    }
    const int coarse_height = grid_height(s, 1), coarse_width = grid_width(s, 1), channels = s->channels;
    const size_t stride = row_stride(s->width), coarse_stride = row_stride(coarse_width);
    const size_t coarse_plane = coarse_stride * (size_t)coarse_height;
    const size_t second = row_stride(grid_width(s, 2)) * (size_t)grid_height(s, 2) * (size_t)(s->grids - 2);
    const size_t first = coarse_plane * (size_t)(s->grids - 1), rows = (size_t)(1 + s->grids + 7 * channels) * stride;
    int16_t *const memory = calloc(first + second + rows, sizeof *memory);
    render_weights *const w = malloc(sizeof *w);
    if (!memory || !w) {
        free(memory), free(w);
        return FIT_NO_MEMORY;
    }
    render_work g = {.planes = {memory + first, memory}, .stride = stride};
    g.between = memory + first + second, g.upsampled = g.between + stride;
    g.rings[0] = g.upsampled + (size_t)s->grids * stride, g.rings[1] = g.rings[0] + 3 * (size_t)channels * stride;
    g.last = g.rings[1] + 3 * (size_t)channels * stride;
    arrange(w, s, p);
    upsample_coarse(s, p, grids, &g);
    for (int k = 0; k < s->grids; k++) upsampled[k] = g.upsampled + (size_t)k * stride;
    for (int r = 0; r < s->height + 2; r++) {
        if (r < s->height) {
            int16_t *out[CHANNELS_MAX], *own = g.upsampled + (size_t)(s->grids - 1) * stride;
            for (int n = 0; n < s->grids - 1; n++)
                double_row(g.planes[1] + (size_t)n * coarse_plane, coarse_stride, coarse_height, coarse_width, p->taps, r,
                           g.between, g.upsampled + (size_t)n * stride);
            scale_row(s, grids[0] + (size_t)r * (size_t)s->width, s->width, own);
            for (int c = 0; c < channels; c++) out[c] = ring_row(&g, s, 0, c, r);
            synthesise_row(w, s, upsampled, out);
            for (int c = 0; c < channels; c++) repeat_edges(out[c], s->width);
        }
        if (r >= 1 && r - 1 < s->height) add_layer(w, s, &g, 0, r - 1);
        if (r >= 2) {
            int16_t *last[CHANNELS_MAX];
            add_layer(w, s, &g, 1, r - 2);
            for (int c = 0; c < channels; c++) last[c] = g.last + (size_t)c * stride + MARGIN;
            write_row(s, last, pixels + (size_t)(r - 2) * (size_t)s->width * (size_t)channels);
        }
    }
    free(memory), free(w);
    return FIT_OK;
}
