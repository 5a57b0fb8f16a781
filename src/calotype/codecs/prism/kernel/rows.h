/* The thorough models' loop over samples. Included by files that compile it for a number of EXPERTS and an instruction
   set each, under the name CODE_ROWS. The order of all operations is fixed, so that every machine gets the same floats. */
#include "lanes.h"

/* Row y of the planes at hand, each pointing at its first sample. */
typedef struct {
    float *row;
    const float *others[2];              /* references' samples */
    const float *hint, *hint_below, *second_hint; /* references' errors */
    float (*recent)[EXPERTS], (*recent1)[EXPERTS], (*recent2)[EXPERTS]; /* errors here, one and two rows above */
} scene;

/* What is expected of a sample. */
typedef struct {
    float raw[FILTERS];                  /* the filters' predictions, not yet limited */
    lanes mean, sharpness;               /* of each expert's logistic distribution; sharpness is 1 / scale */
    float centre, spread;                /* the blend's mean and scale */
    cell *cells[EXPERTS];
    int hint, level;
    uint32_t keys[CONTEXTS];
} outlook;

/* --- linear prediction ------------------------------------------------------------------------------------------- */

static inline float dot(const float *a, const float *b, int order) {
    float lane[8] = {0};
    for (int i = 0; i < order; i += 8)
        for (int k = 0; k < 8; k++) lane[k] += a[i + k] * b[i + k];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static inline float predict(filter *f, int x, const float base[3]) {
    float *input = f->input;
    for (int r = 0; r < f->run_count; r++) {
        const float *at = f->at[r] + x, level = base[f->runs[r].plane];
        for (int k = 0; k < f->runs[r].count; k++) *input++ = at[k] - level;
    }
    return base[0] + dot(f->weight, f->input, f->order);
}

static inline void learn_with(filter *f, float error, float noise, const int order) {
    float gain[ORDER_MAX] = {0};
    for (int j = 0; j < order; j++) {
        const float input = f->input[j];
        for (int i = 0; i < order; i++) gain[i] += f->covariance[j][i] * input;
    }
    const float uncertainty = dot(gain, f->input, order);
    if (!(uncertainty >= 0)) { /* rounding has won: begin again */
        for (int i = 0; i < order; i++)
            for (int j = 0; j < order; j++) f->covariance[i][j] = i == j ? f->drift : 0;
        return;
    }
    const float scale = 1.0f / (noise + uncertainty), step = error * scale;
    for (int i = 0; i < order; i++) f->weight[i] += gain[i] * step;
    for (int i = 0; i < order; i++) {
        const float factor = gain[i] * scale;
        for (int j = 0; j < order; j++) f->covariance[i][j] -= factor * gain[j];
        f->covariance[i][i] += f->drift;
    }
}

/* `order` as a constant lets the compiler unroll. */
static inline void learn(filter *f, float error, float noise) {
    if (f->order == 8) learn_with(f, error, noise, 8);
    else if (f->order == 16) learn_with(f, error, noise, 16);
    else if (f->order == 24) learn_with(f, error, noise, 24);
    else learn_with(f, error, noise, 32);
}

/* --- expectations ------------------------------------------------------------------------------------------------ */

/* The median of a, b and a + b - c: the edge detector of LOCO-I (Weinberger et al. 2000, eq. 1). */
static inline float median_rule(float a, float b, float c) { return within(a + b - c, least(a, b), most(a, b)); }

static inline lanes errors_near(const scene *s, int x) {
    float(*row)[EXPERTS] = s->recent + x, (*above)[EXPERTS] = s->recent1 + x, (*above2)[EXPERTS] = s->recent2 + x;
    return 2.0f * (load(row[-1]) + load(above[0])) + (load(above[-1]) + load(above[1])) +
           0.5f * ((load(row[-2]) + load(above2[0])) + (load(above[2]) + load(above[-2])));
}

/* Level of the errors that the references had around x. */
static inline int hint_at(const scene *s, int references, int stride, int x) {
    if (!references) return 0;
    const float *h = s->hint + x;
    float error = 0.5f * h[0] + 0.125f * ((h[1] + s->hint_below[x]) + (h[-1] + h[-stride]));
    if (references > 1) error = 0.5f * (error + s->second_hint[x]);
    return at_most((quarter_octaves(error + 0.0625f) + 16) >> 1, HINTS - 1);
}

static inline uint32_t fifth(float difference) {
    return difference < -8 ? 0 : difference < -2 ? 1 : difference <= 2 ? 2 : difference <= 8 ? 3 : 4;
}

static inline void set_keys(outlook *o, const float *own, int stride, uint32_t first, uint32_t second) {
    const float w = own[-1], n = own[-stride], nw = own[-stride - 1], ne = own[1 - stride], centre = o->centre;
    const int pattern = (w > centre) | (n > centre) << 1 | (nw > centre) << 2 | (ne > centre) << 3 |
                        (own[-2] > centre) << 4 | (own[-2 * stride] > centre) << 5;
    o->keys[0] = (uint32_t)(pattern * 8 + o->level / 3);
    o->keys[1] = fifth(w - n) * 25 + fifth(n - ne) * 5 + fifth(w - nw);
    o->keys[2] = first;
    o->keys[3] = first << 16 | second;
    for (int c = 0; c < CONTEXTS; c++) o->keys[c] = (o->keys[c] * 8 + (uint32_t)c) * 0x85EBCA6Bu;
}

static inline void expect(outlook *o, prism_plane *p, const scene *s, int x) {
    const int stride = p->stride, references = p->references;
    const float floor = (float)p->low * p->unit, ceiling = (float)p->high * p->unit;
    const float *own = s->row + x;
    float base[3] = {0.5f * (own[-1] + own[-stride])}, mean[EXPERTS];
    for (int r = 0; r < references; r++) base[r + 1] = 0.5f * (s->others[r][x - 1] + s->others[r][x - stride]);
    for (int f = 0; f < FILTERS; f++) {
        o->raw[f] = predict(&p->filters[f], x, base);
        mean[f] = within(o->raw[f], floor, ceiling);
    }
    float edge = median_rule(own[-1], own[-stride], own[-stride - 1]);
    if (references) { /* of the difference to the first reference */
        const float *other = s->others[0] + x;
        edge = other[0] + median_rule(own[-1] - other[-1], own[-stride] - other[-stride],
                                      own[-stride - 1] - other[-stride - 1]);
    }
    mean[FILTERS] = within(edge, floor, ceiling);
    const lanes errors = errors_near(s, x), trust = 1.0f / (errors * errors + 0.5f);
    float sum = 0, weighted = 0;
    for (int e = 0; e < BLEND; e++) {
        sum += trust[e];
        weighted += trust[e] * mean[e];
    }
    mean[BLEND] = weighted / sum;
    o->mean = load(mean);
    o->hint = hint_at(s, references, stride, x);
    const masks activity = lanes_quarter_octaves(0.125f * errors + 0.03125f) + 20;
    lanes scale;
    for (int e = 0; e < EXPERTS; e++) {
        o->cells[e] = &p->cells[e][at_most(activity[e], ACTIVITIES - 1)][o->hint];
        scale[e] = o->cells[e]->mean;
    }
    scale = scale * 0.7f + 0.02f; /* a logistic distribution of scale s has a mean error of 2 ln 2 s */
    o->sharpness = 1.0f / scale;
    o->centre = mean[BLEND];
    o->spread = scale[BLEND];
    const int level = (quarter_octaves(o->spread) + 20) >> 1;
    o->level = level < 0 ? 0 : at_most(level, LEVELS - 1);
    const float steps = 1.0f / p->unit;
    set_keys(o, own, stride, references ? (uint32_t)(s->others[0][x] * steps) : 0,
             references > 1 ? (uint32_t)(s->others[1][x] * steps) : 0);
}

/* --- decisions --------------------------------------------------------------------------------------------------- */

/* What the experts' distributions leave below and above the ends of an interval; the smaller of both is exact. */
typedef struct {
    lanes below_low, above_low, below_high, above_high;
} shares;

static inline uint32_t slot_number(uint32_t key) {
    key ^= key >> 15;
    return key * 0x9E3779B1u >> (32 - SLOT_BITS);
}

static inline int code_sample(prism_plane *p, const outlook *o, int sample) {
    const float steps = 1.0f / p->unit;
    const lanes zero = {0}, one = zero + 1.0f, little = zero + 2e-5f;
    shares share = {.below_low = zero, .above_low = one, .below_high = one, .above_high = zero};
    walk w = walk_from((int)(o->centre * steps), p->low, p->high);
    while (w.high - w.low > 1) {
        const int node = walk_node(&w);
        /* how the experts see it: logarithm of the odds within the interval */
        const lanes z = (((float)w.threshold - 0.5f) * p->unit - o->mean) * o->sharpness;
        const lanes tail = lanes_decay(lanes_magnitude(z)), small = tail / (1.0f + tail), large = 1.0f - small;
        const lanes below = choose(z < 0, small, large), above = choose(z < 0, large, small);
        const lanes yes = w.up ? above - share.above_high : share.below_high - below;
        const lanes no = w.up ? share.above_low - above : below - share.below_low;
        const lanes opinions = lanes_logarithm(lanes_most(yes, little) / lanes_most(no, little));
        /* mixed, and corrected by contexts */
        const uint32_t place = (uint32_t)w.threshold * 8 + (uint32_t)(at_most(w.high - w.low, 3) * 2 + w.up);
        slot *slots[CONTEXTS];
        float sum = 0;
        for (int c = 0; c < CONTEXTS; c++) {
            const uint32_t decision = c < 2 ? (uint32_t)node : place;
            slots[c] = &p->slots[c][slot_number(o->keys[c] + decision * 0x27D4EB2Fu)];
            sum += p->gates[node][c] * slots[c]->bias;
        }
        float *by_hint = p->by_hint + (node * HINTS + o->hint) * EXPERTS;
        float *by_level = p->by_level + (node * LEVELS + o->level) * EXPERTS;
        const lanes hinted = load(by_hint), levelled = load(by_level), parts = (hinted + levelled) * opinions;
        for (int e = 0; e < EXPERTS; e++) sum += parts[e];
        const float chance = logistic(sum);
        int odds = (int)(chance * 65536.0f);
        odds = odds < 1 ? 1 : at_most(odds, 65535);
        const int bit = code_bit(&p->coder, (uint32_t)odds, sample >= w.threshold);
        /* learn */
        const float miss = (float)bit - chance;
        const lanes change = 0.002f * miss * opinions;
        store(by_hint, hinted + change);
        store(by_level, levelled + change);
        for (int c = 0; c < CONTEXTS; c++) {
            p->gates[node][c] += 0.01f * miss * slots[c]->bias;
            slots[c]->bias += miss * p->slot_rates[c][slots[c]->count];
            slots[c]->count += slots[c]->count < COUNT_MAX;
        }
        /* onwards */
        if (bit)
            share.below_low = below, share.above_low = above;
        else
            share.below_high = below, share.above_high = above;
        static const float STRIDES[] = {1.1f, 0.8f, 1.0f, 1.5f, 2.5f, 4.0f};
        if (walk_on(&w, bit)) walk_stride(&w, (int)(o->spread * steps * STRIDES[at_most(w.strides, 5)] + 0.5f));
    }
    return w.low;
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static inline void learn_sample(prism_plane *p, const scene *s, const outlook *o, float *errors, int x, int y) {
    const float value = s->row[x];
    const lanes error = lanes_magnitude(value - o->mean);
    store(s->recent[x], error);
    errors[x] = error[BLEND];
    for (int e = 0; e < EXPERTS; e++) {
        cell *c = o->cells[e];
        c->count += c->count < COUNT_MAX;
        c->mean += (error[e] - c->mean) * p->cell_rates[c->count];
    }
    for (int f = 0; f < FILTERS; f++)
        if (((x + 2 * y) & p->filters[f].idle) == 0) learn(&p->filters[f], value - o->raw[f], o->spread);
}

static inline scene look(prism_plane *p, const prism_plane *first, const prism_plane *second, int y) {
    const ptrdiff_t start = (ptrdiff_t)(y + MARGIN) * p->stride + MARGIN;
    scene s = {.row = p->samples + start};
    if (p->references > 0) {
        s.others[0] = first->samples + start;
        s.hint = first->errors + start;
        s.hint_below = y + 1 < p->height ? s.hint + p->stride : s.hint;
    }
    if (p->references > 1) {
        s.others[1] = second->samples + start;
        s.second_hint = second->errors + start;
    }
    float(*recent)[EXPERTS] = (float(*)[EXPERTS])p->recent + MARGIN;
    s.recent = recent + y % ERROR_ROWS * p->stride;
    s.recent1 = recent + (y + 3) % ERROR_ROWS * p->stride;
    s.recent2 = recent + (y + 2) % ERROR_ROWS * p->stride;
    for (int k = 1; k <= MARGIN; k++) s.row[-k] = s.row[-p->stride];
    for (int f = 0; f < FILTERS; f++) {
        filter *u = &p->filters[f];
        for (int r = 0; r < u->run_count; r++) {
            const float *row = u->runs[r].plane ? s.others[u->runs[r].plane - 1] : s.row;
            u->at[r] = row + (ptrdiff_t)u->runs[r].y * p->stride + u->runs[r].x;
        }
    }
    return s;
}

int CODE_ROWS(prism_plane *p, const prism_plane *first, const prism_plane *second, int end) {
    const int width = p->width;
    for (int y = p->rows; y < end; y++) {
        const scene s = look(p, first, second, y);
        float *errors = p->errors + (s.row - p->samples);
        uint16_t *out = p->output + (ptrdiff_t)y * width;
        for (int x = 0; x < width; x++) {
            outlook o;
            expect(&o, p, &s, x);
            out[x] = (uint16_t)code_sample(p, &o, out[x]);
            s.row[x] = (float)out[x] * p->unit;
            learn_sample(p, &s, &o, errors, x, y);
        }
        for (int k = 0; k < MARGIN; k++) {
            s.row[width + k] = s.row[width - 1], s.row[-1 - k] = s.row[0];
            errors[width + k] = errors[width - 1], errors[-1 - k] = errors[0];
            store(s.recent[width + k], load(s.recent[width - 1]));
        }
        for (int below = 1; y + 1 == p->height && below <= PRISM_AHEAD; below++)
            memcpy(s.row - MARGIN + below * p->stride, s.row - MARGIN, (size_t)p->stride * sizeof *s.row);
        p->rows = y + 1;
        const int status = plane_status(p);
        if (status) return status;
    }
    return PRISM_OK;
}
