/* The loop over samples. Included by files that compile it for one instruction set each; CODE_ROWS is its name there. */
#include "lanes.h"

typedef struct {
    signed char x, y;
} place;



/* --- prediction -------------------------------------------------------------------------------------------------- */

static inline float predict(filter *f, int x, const float base[3]) {
    float *input = f->input;
    for (int r = 0; r < f->run_count; r++) {
        const float *at = f->at[r] + x, level = base[f->runs[r].plane];
        for (int k = 0; k < f->runs[r].count; k++) *input++ = at[k] - level;
    }
    float lane[8] = {0};
    for (int i = 0; i < f->order; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += f->weight[i + k] * f->input[i + k];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static inline void learn_order(filter *f, float error, float noise, const int order) {
    float gain[ORDER_MAX] = {0};
    for (int j = 0; j < order; j++) {
        const float input = f->input[j];
        for (int i = 0; i < order; i++) gain[i] += f->covariance[j][i] * input;
    }
    float lane[8] = {0};
    for (int i = 0; i < order; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += gain[i + k] * f->input[i + k];
    const float spread = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    if (!(spread >= 0)) { /* rounding has won: begin again */
        for (int i = 0; i < order; i++)
            for (int j = 0; j < order; j++) f->covariance[i][j] = i == j ? f->drift : 0;
        return;
    }
    const float scale = 1.0f / (noise + spread);
    const float step = error * scale;
    for (int i = 0; i < order; i++) f->weight[i] += gain[i] * step;
    for (int i = 0; i < order; i++) {
        const float factor = gain[i] * scale;
        for (int j = 0; j < order; j++) f->covariance[i][j] -= factor * gain[j];
        f->covariance[i][i] += f->drift;
    }
}

static inline void learn(filter *f, float error, float noise) {
    if (f->order == 8) learn_order(f, error, noise, 8);
    else if (f->order == 16) learn_order(f, error, noise, 16);
    else if (f->order == 24) learn_order(f, error, noise, 24);
    else learn_order(f, error, noise, 32);
}

/* The median of a, b and a + b - c: the edge detector of JPEG-LS. */
static inline float median_rule(float a, float b, float c) {
    return within(a + b - c, least(a, b), most(a, b));
}

/* Weighted sum of the errors nearby, 8 in all. */
static inline lanes errors_near(float (*row)[EXPERTS], float (*above)[EXPERTS], float (*above2)[EXPERTS]) {
    return 2.0f * (load(row[-1]) + load(above[0])) + (load(above[-1]) + load(above[1])) +
           0.5f * ((load(row[-2]) + load(above2[0])) + (load(above[2]) + load(above[-2])));
}

/* --- decisions --------------------------------------------------------------------------------------------------- */

static inline uint32_t scatter(uint32_t key) { return key * 0x9E3779B1u >> (32 - SLOT_BITS); }

static int fifth(float d) { return d < -8 ? 0 : d < -2 ? 1 : d <= 2 ? 2 : d <= 8 ? 3 : 4; }

int CODE_ROWS(prism_plane *p, const prism_plane *first, const prism_plane *second, int end);

int CODE_ROWS(prism_plane *p, const prism_plane *first, const prism_plane *second, int end) {
    const int stride = p->stride, width = p->width, references = p->references;
    const float unit = p->unit, steps_per_unit = 1.0f / unit, floor_ = (float)p->low * unit, ceiling = (float)p->high * unit;
    for (int y = p->rows; y < end; y++) {
        float *row = p->samples + (ptrdiff_t)(y + MARGIN) * stride + MARGIN;
        uint16_t *out = p->output + (ptrdiff_t)y * width;
        float(*recent)[EXPERTS] = (float(*)[EXPERTS])p->recent + (y & 3) * stride + MARGIN;
        float(*recent1)[EXPERTS] = (float(*)[EXPERTS])p->recent + ((y + 3) & 3) * stride + MARGIN;
        float(*recent2)[EXPERTS] = (float(*)[EXPERTS])p->recent + ((y + 2) & 3) * stride + MARGIN;
        float *errors = p->errors + (ptrdiff_t)y * stride + MARGIN;
        const float *hint1 = NULL, *hint1s = NULL, *hint2 = NULL;
        const prism_plane *reference[3] = {p, first, second};
        const float *rows[3] = {row, NULL, NULL};
        for (int r = 1; r <= references; r++) rows[r] = reference[r]->samples + (ptrdiff_t)(y + MARGIN) * stride + MARGIN;
        if (references) {
            hint1 = first->errors + (ptrdiff_t)y * stride + MARGIN;
            hint1s = y + 1 < p->height ? hint1 + stride : hint1;
        }
        if (references > 1) hint2 = second->errors + (ptrdiff_t)y * stride + MARGIN;
        for (int f = 0; f < FILTERS; f++)
            for (int r = 0; r < p->filters[f].run_count; r++) {
                const run *const u = &p->filters[f].runs[r];
                p->filters[f].at[r] = rows[u->plane] + (ptrdiff_t)u->y * stride + u->x;
            }
        for (int k = 1; k <= MARGIN; k++) row[-k] = row[-stride];
        for (int x = 0; x < width; x++) {
            const float *const at[3] = {row + x, references ? rows[1] + x : row, references > 1 ? rows[2] + x : row};
            const float w = at[0][-1], n = at[0][-stride], nw = at[0][-stride - 1], ne = at[0][-stride + 1];
            const float ww = at[0][-2], nn = at[0][-2 * stride];
            /* predictions and their distributions */
            float base[3] = {0.5f * (w + n), 0, 0};
            for (int r = 1; r <= references; r++) base[r] = 0.5f * (at[r][-1] + at[r][-stride]);
            float mean[EXPERTS], raw[FILTERS];
            for (int f = 0; f < FILTERS; f++) {
                raw[f] = base[0] + predict(&p->filters[f], x, base);
                mean[f] = within(raw[f], floor_, ceiling);
            }
            if (references) {
                const float here = at[1][0];
                mean[FILTERS] = within(here + median_rule(w - at[1][-1], n - at[1][-stride], nw - at[1][-stride - 1]), floor_, ceiling);
            } else {
                mean[FILTERS] = median_rule(w, n, nw);
            }
            float weight = 0, blend = 0;
            const lanes activity = errors_near(recent + x, recent1 + x, recent2 + x);
            const lanes trust = 1.0f / (activity * activity + 0.5f);
            for (int e = 0; e < BLEND; e++) {
                weight += trust[e];
                blend += trust[e] * mean[e];
            }
            mean[BLEND] = blend / weight;
            int hint = 0;
            if (references) {
                float h = 0.25f * (2.0f * hint1[x] + 0.5f * ((hint1[x + 1] + hint1s[x]) + (hint1[x - 1] + (y ? hint1[x - stride] : hint1[x]))));
                if (references > 1) h = 0.5f * (h + hint2[x]);
                hint = at_most((quarter_octaves(h + 0.0625f) + 16) >> 1, HINTS - 1);
            }
            cell *used[EXPERTS];
            const masks active = lanes_quarter_octaves(0.125f * activity + 0.03125f) + 20;
            lanes scale;
            for (int e = 0; e < EXPERTS; e++) {
                used[e] = &p->cells[e][at_most(active[e], ACTIVITIES - 1)][hint];
                scale[e] = used[e]->mean;
            }
            scale = scale * 0.7f + 0.02f;
            const lanes sharp = 1.0f / scale, centres = load(mean);
            const float centre = mean[BLEND], width_ = scale[BLEND];
            int level = (quarter_octaves(width_) + 20) >> 1;
            if (level > LEVELS - 1) level = LEVELS - 1;
            if (level < 0) level = 0;
            const float scaled = centre * steps_per_unit;
            const int whole = (int)scaled;
            /* contexts */
            const int v1 = references ? (int)(at[1][0] * steps_per_unit) : 0, v2 = references > 1 ? (int)(at[2][0] * steps_per_unit) : 0;
            const int pattern = (w > centre) | (n > centre) << 1 | (nw > centre) << 2 | (ne > centre) << 3 | (ww > centre) << 4 | (nn > centre) << 5;
            uint32_t key[CONTEXTS];
            key[0] = (uint32_t)(pattern * 8 + level / 3);
            key[1] = (uint32_t)(fifth(w - n) * 25 + fifth(n - ne) * 5 + fifth(w - nw));
            key[2] = (uint32_t)v1;
            key[3] = (uint32_t)v1 * 65536u + (uint32_t)v2;
            for (int c = 0; c < CONTEXTS; c++) key[c] = (key[c] * 8 + (uint32_t)c) * 0x85EBCA6Bu;
            /* the walk */
            const int sample = out[x];
            int low = p->low, high = p->high + 1, threshold = whole + 1;
            if (threshold <= low) threshold = low + 1;
            if (threshold >= high) threshold = high - 1;
            int up = 0, steps = 0, depth = 0, phase = 0;
            const lanes zero = {0};
            lanes below_low = zero, above_low = zero + 1.0f, below_high = zero + 1.0f, above_high = zero;
            while (high - low > 1) {
                const int node = phase == 0 ? 0 : phase == 1 ? 1 + 8 * up + at_most(steps, 7) : 17 + 16 * up + at_most(steps, 3) * 4 + at_most(depth, 3);
                const lanes z = (((float)threshold - 0.5f) * unit - centres) * sharp;
                const lanes tail = lanes_decay(lanes_magnitude(z));
                const lanes small = tail / (1.0f + tail), large = 1.0f - small;
                const lanes below = choose(z < 0, small, large), above = choose(z < 0, large, small);
                const lanes more = up ? above - above_high : below_high - below;
                const lanes less = up ? above_low - above : below - below_low;
                const lanes least_part = zero + 2e-5f;
                const lanes stretched = lanes_logarithm(lanes_most(more, least_part) / lanes_most(less, least_part));
                const uint32_t exact = (uint32_t)threshold * 8 + (uint32_t)(at_most(high - low, 3) * 2 + up);
                slot *used_slot[CONTEXTS];
                float sum = 0;
                for (int c = 0; c < CONTEXTS; c++) {
                    const uint32_t k = key[c] + (c < 2 ? (uint32_t)node : exact) * 0x27D4EB2Fu;
                    used_slot[c] = &p->slots[c][scatter(k ^ k >> 15)];
                    sum += used_slot[c]->bias;
                }
                float *by_hint = p->by_hint + (node * HINTS + hint) * EXPERTS, *by_level = p->by_level + (node * LEVELS + level) * EXPERTS;
                const lanes hinted = load(by_hint), levelled = load(by_level), part_sums = (hinted + levelled) * stretched;
                for (int e = 0; e < EXPERTS; e++) sum += part_sums[e];
                const float chance = logistic(sum);
                int odds = (int)(chance * 65536.0f);
                if (odds < 1) odds = 1;
                if (odds > 65535) odds = 65535;
                const int bit = code_bit(&p->coder, (uint32_t)odds, sample >= threshold);
                const float target = (float)bit;
                const float miss = target - chance;
                const lanes change = 0.002f * miss * stretched;
                store(by_hint, hinted + change);
                store(by_level, levelled + change);
                for (int c = 0; c < CONTEXTS; c++) {
                    used_slot[c]->bias += miss * p->slot_rates[used_slot[c]->count];
                    if (used_slot[c]->count < COUNT_MAX) used_slot[c]->count++;
                }
                /* onwards */
                if (bit) {
                    low = threshold;
                    below_low = below, above_low = above;
                } else {
                    high = threshold;
                    below_high = below, above_high = above;
                }
                if (phase == 0) {
                    up = bit;
                    phase = 1;
                } else if (phase == 1) {
                    if (bit == up) steps++;
                    else phase = 2;
                } else {
                    depth++;
                }
                if (phase == 1) {
                    static const float STRIDES[] = {1.1f, 0.8f, 1.0f, 1.5f, 2.5f, 4.0f};
                    int jump = (int)(width_ * steps_per_unit * STRIDES[at_most(steps, 5)] + 0.5f);
                    if (jump < 1) jump = 1;
                    threshold = up ? low + jump : high - jump;
                    if (threshold >= high) threshold = high - 1;
                    if (threshold <= low) threshold = low + 1;
                } else {
                    threshold = (low + high + (up ? 0 : 1)) >> 1;
                }
            }
            /* learning */
            const float value = (float)low * unit;
            out[x] = (uint16_t)low;
            row[x] = value;
            const lanes error = lanes_magnitude(value - centres);
            store(recent[x], error);
            for (int e = 0; e < EXPERTS; e++) {
                if (used[e]->count < COUNT_MAX) used[e]->count++;
                used[e]->mean += (error[e] - used[e]->mean) * p->cell_rates[used[e]->count];
            }
            errors[x] = recent[x][BLEND];
            for (int f = 0; f < FILTERS; f++)
                if (((x + 2 * y) & p->filters[f].idle) == 0) learn(&p->filters[f], value - raw[f], width_);
        }
        for (int k = 0; k < MARGIN; k++) {
            row[width + k] = row[width - 1];
            row[-1 - k] = row[0];
            errors[width + k] = errors[width - 1];
            errors[-1 - k] = errors[0];
            for (int e = 0; e < EXPERTS; e++) recent[width + k][e] = recent[width - 1][e];
        }
        p->rows = y + 1;
        if (p->coder.no_memory) return PRISM_NO_MEMORY;
        if (p->coder.beyond > 8) return PRISM_CORRUPT;
    }
    return PRISM_OK;
}
