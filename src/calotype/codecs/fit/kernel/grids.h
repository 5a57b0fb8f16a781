/* The loop over latents; compiled plain and for AVX2. */
#include "network.h"
#include "words.h"

enum { AHEAD = 32 }; /* latents whose known inputs are summed at a time */

/* Weights in the order in which sums and states lie in registers. Sums d and d + 1 are the linear parts of mean and scale. */
typedef struct {
    int inputs, blocks, aboves, besides, state_pairs;
    signed char above[2 * ABOVE_MAX];         /* inputs that are known before the row, in pairs; -1: none */
    signed char place[STATE_PAIRS_MAX];       /* of the pairs of states that are not always 0 */
    int16_t above_weights[ABOVE_MAX][SUMS_MAX][16];
    int16_t beside_weights[BESIDE_MAX][SUMS_MAX][16];
    int16_t state_weights[STATE_PAIRS_MAX][SUMS_MAX][16];
    int16_t mean_weights[2][16], scale_weights[2][16];
    int32_t biases[SUMS_MAX][8], state_biases[SUMS_MAX][8];
} loop_weights;

/* Weight of input i for sum o. */
static int first_weight(const fit_shape *s, const parts *p, int o, int i) {
    const int d = s->neighbours + s->features;
    if (i < 0 || o >= d + 2) return 0;
    if (o >= d) return p->linear[(o - d) * d + i];
    return p->first[o * d + i] + (o == i ? 1 << FIT_WEIGHT_BITS : 0);
}

static void put_pair(int16_t weights[SUMS_MAX][16], const fit_shape *s, const parts *p, int blocks, int first, int second) {
    for (int o = 0; o < 8 * blocks; o++) {
        weights[o / 8][2 * (o % 8)] = (int16_t)first_weight(s, p, o, first);
        weights[o / 8][2 * (o % 8) + 1] = (int16_t)first_weight(s, p, o, second);
    }
}

/* Where state o lies among the words of both blocks. */
static int state_place(int o) { return o < 16 ? narrow_place(o) : 16 + narrow_place(o - 16); }

static void arrange(loop_weights *w, const fit_shape *s, const parts *p) {
    const int d = s->neighbours + s->features;
    memset(w, 0, sizeof *w);
    w->inputs = d, w->blocks = (d + 9) / 8;
    int beside[2 * BESIDE_MAX] = {-1, -1, -1, -1}, aboves = 0;
    for (int i = 0; i < d; i++)
        if (i < s->neighbours && NEIGHBOURS[i][0] == 0)
            beside[-NEIGHBOURS[i][1] - 1] = i;
        else
            w->above[aboves++] = (signed char)i;
    if (aboves & 1) w->above[aboves++] = -1;
    w->aboves = aboves / 2, w->besides = beside[2] < 0 ? 1 : 2;
    for (int j = 0; j < w->aboves; j++)
        put_pair(w->above_weights[j], s, p, w->blocks, w->above[2 * j], w->above[2 * j + 1]);
    for (int j = 0; j < w->besides; j++) put_pair(w->beside_weights[j], s, p, w->blocks, beside[2 * j], beside[2 * j + 1]);
    int at[32];
    for (int q = 0; q < 32; q++) at[q] = -1;
    for (int o = 0; o < d; o++) {
        at[state_place(o)] = o;
        w->biases[o / 8][o % 8] = p->first_bias[o] + half_of(FIT_WEIGHT_BITS);
        w->state_biases[o / 8][o % 8] = p->second_bias[o] + half_of(FIT_WEIGHT_BITS);
        w->mean_weights[state_place(o) / 16][state_place(o) % 16] = (int16_t)p->last[o];
        w->scale_weights[state_place(o) / 16][state_place(o) % 16] = (int16_t)p->last[d + o];
    }
    for (int q = 0; q < 16; q++) {
        if (at[2 * q] < 0 && at[2 * q + 1] < 0) continue;
        const int n = w->state_pairs++;
        w->place[n] = (signed char)(2 * q);
        for (int side = 0; side < 2; side++)
            for (int o = 0; o < d && at[2 * q + side] >= 0; o++) {
                const int i = at[2 * q + side];
                const int weight = p->second[o * d + i] + (o == i ? 1 << FIT_WEIGHT_BITS : 0);
                w->state_weights[n][o / 8][2 * (o % 8) + side] = (int16_t)weight;
            }
    }
    w->state_pairs += w->state_pairs & 1; /* a pair more, of weights 0 */
}

/* One grid in work. */
typedef struct {
    int height, width;
    size_t stride;
    int16_t *rows[4];       /* latents in the units of states, of row r at r & 3, with margins */
    int16_t *features;      /* [features][stride]: of this row */
    int32_t *narrow;        /* sums of features */
    int16_t *coarse;        /* one of the coarser grids, at the positions of the next one */
    int32_t *pairs;         /* [aboves][stride] */
} grid_work;

static void see_coarser(const fit_shape *s, const parts *p, const int16_t *const *grids, int k, int row, grid_work *g) {
    const int width = grid_width(s, k + 1), count = s->grids - 1 - k;
    int32_t *sums = g->narrow;
    for (int i = 0; i < s->features; i++)
        for (int c = 0; c < width; c++) sums[(size_t)i * g->stride + (size_t)c] = half_of(FIT_WEIGHT_BITS - FIT_STATE_BITS);
    for (int n = 0; n < count; n++) {
        const int16_t *from = grids[k + 1 + n] + (size_t)(row >> n) * (size_t)grid_width(s, k + 1 + n);
        for (int c = 0; c < width; c++) g->coarse[c] = from[c >> n];
        for (int i = 0; i < s->features; i++) {
            const int32_t weight = p->features[k][i * count + n];
            int32_t *sum = sums + (size_t)i * g->stride;
            for (int c = 0; c < width; c++) sum[c] += weight * g->coarse[c];
        }
    }
    for (int i = 0; i < s->features; i++) {
        const int32_t *sum = sums + (size_t)i * g->stride;
        int16_t *feature = g->features + (size_t)i * g->stride;
        for (int c = 0; c < width; c++) {
            const int32_t value = sum[c] >> (FIT_WEIGHT_BITS - FIT_STATE_BITS);
            feature[2 * c] = feature[2 * c + 1] = (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
        }
    }
}

static void pair_up(const fit_shape *s, const loop_weights *w, int row, grid_work *g) {
    const int16_t *from[2];
    for (int j = 0; j < w->aboves; j++) {
        for (int side = 0; side < 2; side++) {
            const int i = w->above[2 * j + side];
            from[side] = i < 0 ? g->features /* of weight 0 */
                         : i < s->neighbours ? g->rows[(row + NEIGHBOURS[i][0]) & 3] + MARGIN + NEIGHBOURS[i][1]
                                             : g->features + (size_t)(i - s->neighbours) * g->stride;
        }
        int32_t *pairs = g->pairs + (size_t)j * g->stride;
        for (int c = 0; c < g->width; c++) pairs[c] = pair_of(from[0][c], from[1][c]);
    }
}

FIT_INLINE int code_latent(fit_coder *coder, int32_t mean, int32_t scale, int value) {
    mean = (mean + 512) >> FIT_WEIGHT_BITS;
    mean = mean > MEAN_MAX ? MEAN_MAX : mean < -MEAN_MAX ? -MEAN_MAX : mean;
    scale = (scale + 512) >> FIT_WEIGHT_BITS;
    scale = scale > LOG_SCALE_MAX ? LOG_SCALE_MAX : scale < -LOG_SCALE_MAX ? -LOG_SCALE_MAX : scale;
    scale = (scale * 11819 + (40 << 16) + (1 << 15)) >> 16; /* eighths of octaves from 2^-5 */
    scale = scale < 0 ? 0 : scale > FIT_SCALES - 1 ? FIT_SCALES - 1 : scale;
    return code_laplace(coder, scale, mean, FIT_LATENT_MAX, value);
}

/* One row; `blocks` and `besides` are those of the weights, known when compiling. */
FIT_INLINE void code_row(fit_coder *coder, const loop_weights *w, const grid_work *g, int row, int16_t *latents,
                         const int blocks, const int besides) {
    sums known[AHEAD][SUMS_MAX];
    int16_t states[32] = {0};
    int32_t raw[SUMS_MAX * 8];
    int16_t *out = g->rows[row & 3] + MARGIN;
    int one = 0, two = 0, three = 0; /* left of the latent */
    for (int start = 0; start < g->width; start += AHEAD) {
        const int count = g->width - start < AHEAD ? g->width - start : AHEAD;
        for (int c = 0; c < count; c++) {
            sums sum[SUMS_MAX];
            for (int v = 0; v < blocks; v++) sum[v] = load_sums(w->biases[v]);
            for (int j = 0; j < w->aboves; j++) {
                const words pair = all_pairs(g->pairs[(size_t)j * g->stride + (size_t)(start + c)]);
                for (int v = 0; v < blocks; v++) sum[v] = dot(sum[v], pair, load_words(w->above_weights[j][v]));
            }
            for (int v = 0; v < blocks; v++) known[c][v] = sum[v];
        }
        for (int c = 0; c < count; c++) {
            sums sum[SUMS_MAX], other[SUMS_MAX];
            const words pair = all_pairs(pair_of(one, two));
            for (int v = 0; v < blocks; v++) sum[v] = dot(known[c][v], pair, load_words(w->beside_weights[0][v]));
            if (besides > 1) {
                const words third = all_pairs(pair_of(three, 0));
                for (int v = 0; v < blocks; v++) sum[v] = dot(sum[v], third, load_words(w->beside_weights[1][v]));
            }
            for (int v = 0; v < blocks; v++) store_sums(raw + 8 * v, sum[v]);
            const sums none = all_sums(0);
            store_words(states, positive(narrow(sum[0], blocks > 1 ? sum[1] : none, FIT_WEIGHT_BITS)));
            if (blocks > 2) store_words(states + 16, positive(narrow(sum[2], none, FIT_WEIGHT_BITS)));
            for (int v = 0; v < blocks; v++) sum[v] = load_sums(w->state_biases[v]), other[v] = none;
            for (int n = 0; n < w->state_pairs; n += 2) {
                int32_t first, second;
                memcpy(&first, states + w->place[n], sizeof first);
                memcpy(&second, states + w->place[n + 1], sizeof second);
                const words a = all_pairs(first), b = all_pairs(second);
                for (int v = 0; v < blocks; v++) {
                    sum[v] = dot(sum[v], a, load_words(w->state_weights[n][v]));
                    other[v] = dot(other[v], b, load_words(w->state_weights[n + 1][v]));
                }
            }
            for (int v = 0; v < blocks; v++) sum[v] = add_sums(sum[v], other[v]);
            const words low = positive(narrow(sum[0], blocks > 1 ? sum[1] : none, FIT_WEIGHT_BITS));
            sums means = dot(none, low, load_words(w->mean_weights[0]));
            sums scales = dot(none, low, load_words(w->scale_weights[0]));
            if (blocks > 2) {
                const words high = positive(narrow(sum[2], none, FIT_WEIGHT_BITS));
                means = dot(means, high, load_words(w->mean_weights[1]));
                scales = dot(scales, high, load_words(w->scale_weights[1]));
            }
            int32_t mean, scale;
            two_totals(means, scales, &mean, &scale);
            mean += raw[w->inputs], scale += raw[w->inputs + 1];
            const int value = code_latent(coder, mean, scale, latents[start + c]);
            latents[start + c] = (int16_t)value;
            three = two, two = one, one = value * (1 << FIT_STATE_BITS);
            out[start + c] = (int16_t)one;
        }
    }
}

#define ROW(blocks, besides) \
    static FIT_TARGET void code_row_##blocks##_##besides(fit_coder *coder, const loop_weights *w, const grid_work *g, int row, \
                                                         int16_t *latents) { \
        code_row(coder, w, g, row, latents, blocks, besides); \
    }
ROW(1, 1) ROW(2, 1) ROW(3, 1) ROW(2, 2) ROW(3, 2)

int CODE_GRIDS(fit_coder *coder, const fit_shape *s, const parts *p, int16_t *latents) {
    static void (*const ROWS[BESIDE_MAX][SUMS_MAX])(fit_coder *, const loop_weights *, const grid_work *, int, int16_t *) = {
        {code_row_1_1, code_row_2_1, code_row_3_1}, {NULL, code_row_2_2, code_row_3_2}};
    loop_weights w;
    grid_work g = {.stride = (size_t)s->width + 2 * MARGIN + PAD};
    int16_t *grids[FIT_GRIDS_MAX];
    arrange(&w, s, p);
    for (int k = 0; k < s->grids; k++) {
        grids[k] = latents;
        latents += (size_t)grid_height(s, k) * (size_t)grid_width(s, k);
    }
    const size_t features = (size_t)s->features * g.stride, pairs = (size_t)w.aboves * g.stride;
    int16_t *const memory = calloc(5 * g.stride + features, sizeof *memory);
    int32_t *const sums = calloc(features + pairs, sizeof *sums);
    int status = memory && sums ? FIT_OK : FIT_NO_MEMORY;
    for (int k = s->grids - 1; k >= 0 && !status; k--) {
        memset(memory, 0, (5 * g.stride + features) * sizeof *memory);
        for (int r = 0; r < 4; r++) g.rows[r] = memory + (size_t)r * g.stride;
        g.coarse = memory + 4 * g.stride, g.features = g.coarse + g.stride;
        g.narrow = sums, g.pairs = sums + features;
        g.height = grid_height(s, k), g.width = grid_width(s, k);
        const int d = w.inputs;
        for (int i = 0; i < 2; i++) w.biases[(d + i) / 8][(d + i) % 8] = p->grid_bias[2 * k + i];
        for (int r = 0; r < g.height && !status; r++) {
            if (k < FIT_FEATURE_GRIDS && r % 2 == 0) see_coarser(s, p, (const int16_t *const *)grids, k, r >> 1, &g);
            memset(g.rows[r & 3], 0, g.stride * sizeof *memory);
            pair_up(s, &w, r, &g);
            ROWS[w.besides - 1][w.blocks - 1](coder, &w, &g, r, grids[k] + (size_t)r * (size_t)g.width);
            if (coder->stream.no_memory) status = FIT_NO_MEMORY;
            if (coder->stream.beyond > 4) status = FIT_CORRUPT;
        }
    }
    free(memory), free(sums);
    return status;
}
