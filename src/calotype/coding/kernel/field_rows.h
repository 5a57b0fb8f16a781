/* The arithmetic of adaptive coding. Included by files that compile it for an instruction set; sums over a row are kept in
   8 lanes, whatever that has. */
#include "field.h"
#define LANES 8
#include "vectors.h"

#define UPPER ((int32_t)0xffff0000)

static inline float sum_of_lanes(lanes x) { return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7])); }

/* Adds what is packed at an entry and the next ones, times a weight. */
static inline void add(lanes *level, lanes *expected, const uint32_t *packed, float weight) {
    masks both;
    memcpy(&both, packed, sizeof both);
    *level += weight * (lanes)(both & UPPER);
    *expected += weight * (lanes)(both << 16);
}

static inline masks pack(lanes level, lanes expected) { return ((masks)level & UPPER) | (((masks)expected >> 16) & ~UPPER); }

/* What a feature of a row is the logarithm of, levels over what was expected of them; `shift` is where the row begins. */
static inline void own_cells(const calo_field *f, const calo_channel *c, size_t shift, uint32_t columns, float *ratio) {
    const uint32_t *row = f->cells + c->cell + shift, *above = row - f->stride, *below = row + f->stride;
    for (uint32_t j = 0; j < columns; j += LANES) {
        lanes level = {0}, expected = {0};
        add(&level, &expected, row + j, 1.0f);
        add(&level, &expected, above + j, 0.4f);
        add(&level, &expected, row + j - 1, 0.4f);
        add(&level, &expected, row + j + 1, 0.4f);
        add(&level, &expected, below + j, 0.4f);
        add(&level, &expected, above + j - 1, 0.2f);
        add(&level, &expected, above + j + 1, 0.2f);
        add(&level, &expected, below + j - 1, 0.2f);
        add(&level, &expected, below + j + 1, 0.2f);
        store(ratio + j, (level + 0.2f) / (expected + 0.2f));
    }
}

static inline void friends(const calo_channel *c, unsigned list, size_t shift, uint32_t columns, float *ratio) {
    for (uint32_t j = 0; j < columns; j += LANES) {
        lanes level = {0}, expected = {0};
        for (int t = 0; t < c->friends[list]; t++) add(&level, &expected, c->friend[list][t] + shift + j, c->weight[list][t]);
        store(ratio + j, (level + 0.1f) / (expected + 0.1f));
    }
}

static inline void all_channels(const calo_field *f, const calo_channel *c, size_t shift, uint32_t columns, float *ratio) {
    const float *level = f->site_level + c->site + shift, *expected = f->site_mean + c->site + shift;
    for (uint32_t j = 0; j < columns; j += LANES) store(ratio + j, (load(level + j) + 0.2f) / (load(expected + j) + 0.2f));
}

static void predict(const calo_field *f, const calo_channel *c, uint32_t i, const int32_t *index, calo_work *work) {
    const uint32_t columns = f->columns, padded = (columns + LANES - 1) / LANES * LANES;
    float highest = 0;
    int32_t numbers[CALO_COLUMNS];
    for (uint32_t j = 0; j < columns; j++) {
        numbers[j] = index[j];
        work->expected[j] = f->expected[index[j]];
        highest = most(highest, work->expected[j]);
    }
    for (uint32_t j = columns; j < padded; j++) numbers[j] = work->level[j] = 0, work->expected[j] = 0;
    work->quiet = highest < f->quiet;
    const int32_t last = (int32_t)f->level_tables - 1;
    if (work->quiet) {
        for (uint32_t j = 0; j < columns; j++) work->table[j] = at_most(2 * numbers[j], last);
        return;
    }
    own_cells(f, c, i * f->stride, padded, work->feature[0]);
    friends(c, 0, i * f->stride, padded, work->feature[1]);
    friends(c, 1, i * f->stride, padded, work->feature[2]);
    all_channels(f, c, i * f->stride, padded, work->feature[3]);
    for (unsigned k = 0; k < CALO_FEATURES; k++) {
        float *u = work->feature[k];
        for (uint32_t j = 0; j < padded; j += LANES) store(u + j, lanes_logarithm(load(u + j)));
    }
    const float *own = f->slope + c->channel * CALO_SLOPES, *low = f->common, *high = f->common + CALO_FEATURES;
    const lanes one = (lanes){0} + 1.0f, zero = {0}, limit = (lanes){0} + 0.5f * (float)last;
    for (uint32_t j = 0; j < padded; j += LANES) {
        masks number;
        memcpy(&number, numbers + j, sizeof number);
        const lanes base = __builtin_convertvector(number, lanes), ramp = base * 0.03125f;
        const lanes share = choose(ramp < one, ramp, one);
        store(work->high + j, share);
        lanes theta = base + own[CALO_FEATURES];
        for (unsigned k = 0; k < CALO_FEATURES; k++)
            theta += (own[k] + (low[k] * (1.0f - share) + high[k] * share)) * load(work->feature[k] + j);
        theta = lanes_most(theta, zero);
        theta = choose(theta < limit, theta, limit);
        const masks table = __builtin_convertvector(theta * 2.0f + 0.5f, masks);
        memcpy(work->table + j, &table, sizeof table);
    }
}

/* A slope that has seen `evidence` so far moves along its gradient. */
static inline void move(float *slope, float *evidence, float keep, float prior, float rate, float gradient, float fisher) {
    *evidence = *evidence * keep + fisher;
    *slope += rate * gradient / (*evidence + prior);
}

static void learn(calo_field *f, const calo_channel *c, uint32_t i, const calo_work *work, calo_sums *sums) {
    const uint32_t columns = f->columns, padded = (columns + LANES - 1) / LANES * LANES;
    const masks most = (masks){0} + CALO_LEVEL_MAX, many = (masks){0} + 30;
    uint32_t *known = f->known + c->start + i * f->stride, *cells = f->cells + c->cell + i * f->stride;
    float *site_level = f->site_level + c->site + i * f->stride, *site_mean = f->site_mean + c->site + i * f->stride;
    for (uint32_t j = 0; j < padded; j += LANES) {
        masks number;
        memcpy(&number, work->level + j, sizeof number);
        number = masks_least(number, most);
        const lanes expected = load(work->expected + j), weight = 1.0f / (expected + 0.3f);
        lanes level = __builtin_convertvector(number, lanes), cell_expected = expected;
        const masks here = pack(level, expected);
        memcpy(known + j, &here, sizeof here);
        add(&level, &cell_expected, cells + j, 1.0f);
        const masks sum = pack(level, cell_expected);
        memcpy(cells + j, &sum, sizeof sum);
        const lanes few = __builtin_convertvector(masks_least(number, many), lanes);
        store(site_level + j, load(site_level + j) + few * weight);
        store(site_mean + j, load(site_mean + j) + expected * weight);
    }
    if (work->quiet) return;
    float gradients[CALO_COLUMNS], fishers[CALO_COLUMNS];
    for (uint32_t j = 0; j < padded; j++) {
        const int there = j < columns;
        const int32_t table = there ? work->table[j] : 0, level = there ? at_most(work->level[j], CALO_LEVELS - 1) : 0;
        gradients[j] = there ? f->gradient[table * CALO_LEVELS + level] : 0;
        fishers[j] = there ? f->fisher[table] : 0;
    }
    lanes g = {0}, h = {0}, own_g[CALO_FEATURES] = {{0}}, own_h[CALO_FEATURES] = {{0}};
    lanes sum_g[2][CALO_FEATURES], sum_h[2][CALO_FEATURES];
    memcpy(sum_g, sums->gradient, sizeof sum_g), memcpy(sum_h, sums->fisher, sizeof sum_h);
    for (uint32_t j = 0; j < padded; j += LANES) {
        const lanes gradient = load(gradients + j), fisher = load(fishers + j), high = load(work->high + j), low = 1.0f - high;
        g += gradient, h += fisher;
        for (unsigned k = 0; k < CALO_FEATURES; k++) {
            const lanes u = load(work->feature[k] + j), x = gradient * u, y = fisher * u * u;
            own_g[k] += x, own_h[k] += y;
            sum_g[0][k] += x * low, sum_h[0][k] += y * low * low;
            sum_g[1][k] += x * high, sum_h[1][k] += y * high * high;
        }
    }
    memcpy(sums->gradient, sum_g, sizeof sum_g), memcpy(sums->fisher, sum_h, sizeof sum_h);
    const calo_rates *r = &f->rates;
    float *own = f->slope + c->channel * CALO_SLOPES, *seen = f->slope_evidence + c->channel * CALO_SLOPES;
    for (unsigned k = 0; k < CALO_FEATURES; k++)
        move(own + k, seen + k, r->keep, r->prior, r->slope, sum_of_lanes(own_g[k]), sum_of_lanes(own_h[k]));
    move(own + CALO_FEATURES, seen + CALO_FEATURES, r->keep, r->prior, r->bias, sum_of_lanes(g), sum_of_lanes(h));
}

static void learn_common(calo_field *f, const calo_sums *sums) {
    const calo_rates *r = &f->rates;
    for (unsigned k = 0; k < 2 * CALO_FEATURES; k++) {
        const float gradient = sum_of_lanes(load(sums->gradient[0][0] + 8 * k)), fisher = sum_of_lanes(load(sums->fisher[0][0] + 8 * k));
        move(f->common + k, f->common_evidence + k, r->common_keep, r->common_prior, r->common, gradient, fisher);
    }
}

static void predict_sign(const calo_field *f, const calo_channel *c, size_t entry, calo_sign *sign) {
    const int8_t *here = f->lean + entry;
    int32_t leans[CALO_SIGNS];
    for (unsigned k = 0; k < CALO_SIGNS; k++) leans[k] = here[c->sign[k]];
    for (unsigned k = 0; k < CALO_SIGNS; k++) sign->inputs[k] = (float)leans[k] * 0.03125f;
    lanes sum = {0};
    const float *weight = f->sign_weight + c->channel * CALO_SIGNS;
    for (unsigned k = 0; k < CALO_SIGNS; k += LANES) sum += load(weight + k) * load(sign->inputs + k);
    sign->logit = sum_of_lanes(sum);
}

static void learn_sign(calo_field *f, const calo_channel *c, const calo_sign *sign, int positive) {
    const float chance = logistic(sign->logit), miss = (positive ? 1.0f : 0.0f) - chance;
    const float sharpness = chance * (1.0f - chance) + 0.02f, step = f->rates.sign * miss;
    float *weight = f->sign_weight + c->channel * CALO_SIGNS, *seen = f->sign_evidence + c->channel * CALO_SIGNS;
    for (unsigned k = 0; k < CALO_SIGNS; k += LANES) {
        const lanes x = load(sign->inputs + k), evidence = load(seen + k) + sharpness * x * x;
        store(seen + k, evidence);
        store(weight + k, load(weight + k) + step * x / evidence);
    }
}

const calo_arithmetic ARITHMETIC = {predict, learn, learn_common, predict_sign, learn_sign};
