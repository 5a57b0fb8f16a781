/* The thorough models' loop over samples. Included by files that compile it for a number of EXPERTS and an instruction
   set each, under the name CODE_ROWS. The order of all operations is fixed, so that every machine gets the same floats. */
#include "lanes.h"

/* Row y of the planes at hand, each pointing at its first sample. */
typedef struct {
    float *row;
    const float *others[2];              /* references' samples */
    const uint16_t *values[2];           /* what they decode to */
    const float *hint, *hint_below, *second_hint; /* references' errors */
    float (*recent)[EXPERTS], (*recent1)[EXPERTS], (*recent2)[EXPERTS]; /* errors here, one and two rows above */
} scene;

/* What is expected of a sample. */
typedef struct {
    float raw[FILTERS];                  /* the filters' predictions, not yet limited */
    lanes mean, scale, sharpness;        /* of each expert's logistic distribution; sharpness is 1 / scale */
    float centre, spread;                /* the blend's mean and scale */
    cell *cells[EXPERTS];
    int hint, level;
    uint32_t keys[CONTEXTS];
} outlook;

/* What is known of a sample after it is coded. */
typedef struct {
    float value;                         /* its mean, where only the bin is known */
    float rest;                          /* how far knowing the bin is like knowing the sample: 1 wholly, 0 not at all */
    lanes errors;                        /* of each expert: the mean of |value - mean| */
} finding;

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

/* `rest`: see `finding`. The mean of the weights moves by the mean of the error, their variance shrinks the less. */
static inline void learn_with(filter *f, float error, float noise, float rest, const int order) {
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
    const float scale = 1.0f / (noise + uncertainty), step = error * scale, told = scale * rest;
    for (int i = 0; i < order; i++) f->weight[i] += gain[i] * step;
    for (int i = 0; i < order; i++) {
        const float factor = gain[i] * told;
        for (int j = 0; j < order; j++) f->covariance[i][j] -= factor * gain[j];
        f->covariance[i][i] += f->drift;
    }
}

/* `order` as a constant lets the compiler unroll. */
static inline void learn(filter *f, float error, float noise, float rest) {
    if (f->order == 8) learn_with(f, error, noise, rest, 8);
    else if (f->order == 16) learn_with(f, error, noise, rest, 16);
    else if (f->order == 24) learn_with(f, error, noise, rest, 24);
    else learn_with(f, error, noise, rest, 32);
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
    o->scale = scale;
    o->sharpness = 1.0f / scale;
    o->centre = mean[BLEND];
    o->spread = scale[BLEND];
    const int level = (quarter_octaves(o->spread) + 20) >> 1;
    o->level = level < 0 ? 0 : at_most(level, LEVELS - 1);
    set_keys(o, own, stride, references ? s->values[0][x] : 0, references > 1 ? s->values[1][x] : 0);
}

/* --- decisions --------------------------------------------------------------------------------------------------- */

/* What the experts' distributions leave below and above a value; the smaller of both is exact. */
typedef struct {
    lanes below, above;
} shares;

static inline uint32_t slot_number(uint32_t key) {
    key ^= key >> 15;
    return key * 0x9E3779B1u >> (32 - SLOT_BITS);
}

/* What is below and above the lower end of the bin that begins with `value`. */
static inline shares shares_at(const prism_plane *p, const outlook *o, int value) {
    const lanes z = (((float)value - 0.5f) * p->unit - o->mean) * o->sharpness;
    const lanes tail = lanes_decay(lanes_magnitude(z)), small = tail / (1.0f + tail), large = 1.0f - small;
    return (shares){choose(z < 0, small, large), choose(z < 0, large, small)};
}

/* Codes a decision for which the experts have shares `yes` and `no`, and learns; `answer` is ignored when decoding. */
static inline int decide(prism_plane *p, const outlook *o, int node, uint32_t place, lanes yes, lanes no, int answer) {
    /* how the experts see it: logarithm of the odds */
    const lanes little = (lanes){0} + 2e-5f;
    const lanes opinions = lanes_logarithm(lanes_most(yes, little) / lanes_most(no, little));
    /* mixed, and corrected by contexts */
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
    const int bit = code_bit(&p->coder, (uint32_t)odds, answer);
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
    return bit;
}

static inline void stride_on(const prism_plane *p, const outlook *o, walk *w) {
    static const float STRIDES[] = {1.1f, 0.8f, 1.0f, 1.5f, 2.5f, 4.0f};
    const float steps = 1.0f / p->unit;
    walk_stride(w, (int)(o->spread * steps * STRIDES[at_most(w->strides, 5)] * p->per_step + 0.5f));
}

/* Number of the sample's bin, of which `number` is taken when encoding. */
static inline int code_number(prism_plane *p, const outlook *o, const bins *b, int number) {
    const lanes zero = {0}, one = zero + 1.0f;
    const shares nothing = {zero, one}, everything = {one, zero};
    shares low = nothing, high = everything; /* at the ends of the interval */
    walk w = walk_from(p, b);
    if (w.phase == AT_CENTRE && b->first < b->last) { /* is it bin 0, else above or below? */
        const uint32_t place = (uint32_t)b->origin * 8;
        const shares start = b->first < 0 ? shares_at(p, o, b->origin - p->bound) : nothing;
        const shares end = b->last > 0 ? shares_at(p, o, b->origin + p->bound + 1) : everything;
        const lanes inside = choose(start.below > start.above, start.above - end.above, end.below - start.below);
        if (walk_on(&w, decide(p, o, 49, place, inside, start.below + end.above, number == 0)) ||
            (w.phase == AT_START && walk_on(&w, decide(p, o, 0, place + 1, end.above, start.below, number > 0))))
            stride_on(p, o, &w);
        if (w.up)
            low = end;
        else
            high = start;
    }
    while (w.high - w.low > 1) {
        const int value = b->origin + w.threshold * p->step;
        const shares at = shares_at(p, o, value - p->bound);
        const lanes yes = w.up ? at.above - high.above : high.below - at.below;
        const lanes no = w.up ? low.above - at.above : at.below - low.below;
        const uint32_t place = (uint32_t)value * 8 + (uint32_t)(at_most(w.high - w.low, 3) * 2 + w.up);
        const int bit = decide(p, o, walk_node(&w), place, yes, no, number >= w.threshold);
        if (bit)
            low = at;
        else
            high = at;
        if (walk_on(&w, bit)) stride_on(p, o, &w);
    }
    return w.low;
}

/* What the bin from `first` to `last` tells, by distributions of Laplace around the experts' means. For densities
   exp(-|t| / b), t in -l .. r around 0, the mean of |t| is b - (l e^(-l/b) + r e^(-r/b)) / m with m = 2 - e^(-l/b) -
   e^(-r/b), that of t (b (e^(-l/b) - e^(-r/b)) + l e^(-l/b) - r e^(-r/b)) / m; in a bin on one side of the mean, it
   begins anew at the nearer end. Where b is far wider than the bin, the density counts as constant. */
static inline finding find(const prism_plane *p, const outlook *o, int first, int last) {
    const float start = ((float)(first < p->low ? p->low : first) - 0.5f) * p->unit;
    const float end = ((float)at_most(last, p->high) + 0.5f) * p->unit, width = end - start;
    const lanes zero = {0}, all = zero + width, b = 1.3862944f * o->scale, sharpness = 0.7213475f * o->sharpness;
    const lanes before = o->mean - start, after = end - o->mean;
    const lanes nearer = lanes_most(lanes_most(zero - before, zero - after), zero);
    const lanes limited = lanes_most(before, zero), l = choose(limited < all, limited, all), r = all - l;
    const lanes tail_l = lanes_decay(l * sharpness), tail_r = lanes_decay(r * sharpness);
    const lanes mass = 2.0f - tail_l - tail_r, flat = zero + 0.05f;
    const masks is_flat = all * sharpness < flat;
    const lanes size = choose(is_flat, (l * l + r * r) / (2.0f * all), b - (l * tail_l + r * tail_r) / mass);
    const lanes shift = choose(is_flat, 0.5f * (r - l), (b * (tail_l - tail_r) + l * tail_l - r * tail_r) / mass);
    const float side = before[BLEND] < 0 ? nearer[BLEND] : 0 - nearer[BLEND];
    const float breadth = 24.0f * b[BLEND] * b[BLEND];
    return (finding){within(o->centre + shift[BLEND] + side, start, end), breadth / (breadth + width * width), nearer + size};
}

static inline finding code_sample(prism_plane *p, const outlook *o, uint16_t *sample) {
    const float steps = 1.0f / p->unit;
    const bins b = bins_around(p, p->bound ? origin_near(p, (int)(o->centre * steps + 0.5f)) : (int)(o->centre * steps));
    const int number = code_number(p, o, &b, bin_of(p, &b, *sample)), centre = b.origin + number * p->step;
    *sample = (uint16_t)bin_value(p, &b, number);
    if (p->bound) return find(p, o, centre - p->bound, centre + p->bound);
    const float value = (float)*sample * p->unit;
    return (finding){value, 1, lanes_magnitude(value - o->mean)};
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static inline void learn_sample(prism_plane *p, const scene *s, const outlook *o, const finding *f, float *errors, int x,
                                int y) {
    store(s->recent[x], f->errors);
    errors[x] = f->errors[BLEND];
    for (int e = 0; e < EXPERTS; e++) {
        cell *c = o->cells[e];
        c->count += c->count < COUNT_MAX;
        c->mean += (f->errors[e] - c->mean) * p->cell_rates[c->count];
    }
    const float noise = o->spread + p->noise;
    for (int k = 0; k < FILTERS; k++)
        if (((x + 2 * y) & p->filters[k].idle) == 0) learn(&p->filters[k], f->value - o->raw[k], noise, f->rest);
}

static inline scene look(prism_plane *p, const prism_plane *first, const prism_plane *second, int y) {
    const ptrdiff_t start = (ptrdiff_t)(y + MARGIN) * p->stride + MARGIN;
    scene s = {.row = p->samples + start};
    if (p->references > 0) {
        s.others[0] = first->samples + start;
        s.values[0] = first->output + (ptrdiff_t)y * p->width;
        s.hint = first->errors + start;
        s.hint_below = y + 1 < p->height ? s.hint + p->stride : s.hint;
    }
    if (p->references > 1) {
        s.others[1] = second->samples + start;
        s.values[1] = second->output + (ptrdiff_t)y * p->width;
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
            const finding found = code_sample(p, &o, out + x);
            s.row[x] = found.value;
            learn_sample(p, &s, &o, &found, errors, x, y);
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
