/* rANS with mixtures of logistics. A symbol's distribution is never written out: the decoder finds the symbol by bisection,
   which evaluates the cumulative distribution at log2(symbols) places, for 8 symbols side by side. */
#include "rans.h"

#ifdef CALO_X86_64
#include <emmintrin.h>
#endif

enum {
    WEIGHT_BITS = 14,                         /* weights of a mixture sum to 2^14 */
    PRECISION = 16,                           /* frequencies to 2^16 */
    LOCATION_BITS = 6,                        /* fraction bits of a location */
    ARGUMENT_DROP = 9,                        /* fraction bits of an argument, 17, less those of the table's, 8 */
    HALF_TABLE = CALO_LOGISTIC / 2,
};
#define ARGUMENT_MAX (INT64_C(1) << 30)       /* so that no sum with 1023 steps leaves 32 bits */

/* Mixtures of up to 8 symbols, component by component. */
typedef struct {
    int32_t argument[CALO_COMPONENTS][CALO_LANES]; /* of the logistic function at the lower edge of symbol 0 */
    int32_t step[CALO_COMPONENTS][CALO_LANES];     /* of the argument per symbol */
    int16_t weight[CALO_COMPONENTS][CALO_LANES];
} group;

/* Takes the parameters of `lanes` symbols. */
CALO_INLINE int prepare(const calo_mixture *m, const int32_t *parameters, size_t stride, uint32_t lanes, group *g) {
    const uint32_t components = m->components;
    const int32_t *location = parameters;
    const int32_t *scale = parameters + components * stride;
    const int32_t *weight = parameters + 2 * components * stride;
    uint32_t total[CALO_LANES] = {0}, given[CALO_LANES] = {0}, bad = 0;
    for (uint32_t k = 0; k < components; k++) {
        for (uint32_t l = 0; l < lanes; l++) {
            const uint32_t w = (uint32_t)weight[k * stride + l];
            bad |= w >> 16;
            total[l] += w & 0xffff;
        }
        for (uint32_t l = 0; l < lanes; l++) {
            const uint32_t s = (uint32_t)scale[k * stride + l];
            if (CALO_RARE(s >= CALO_SCALES)) return CALO_BAD_INDEX;
            const int32_t step = m->step[s];
            const int64_t from = (int64_t)location[k * stride + l] + (1 << (LOCATION_BITS - 1));
            int64_t argument = -(from * step >> LOCATION_BITS);
            argument = argument > ARGUMENT_MAX ? ARGUMENT_MAX : argument;
            argument = argument < -ARGUMENT_MAX ? -ARGUMENT_MAX : argument;
            g->argument[k][l] = (int32_t)argument;
            g->step[k][l] = step;
        }
    }
    for (uint32_t l = 0; l < lanes; l++) {
        bad |= total[l] == 0;
        total[l] = (UINT32_C(1) << 30) / (total[l] + (total[l] == 0));
    }
    for (uint32_t k = components; k-- > 0;)
        for (uint32_t l = 0; l < lanes; l++) {
            const uint32_t w = ((uint32_t)weight[k * stride + l] & 0xffff) * total[l] >> 16;
            g->weight[k][l] = (int16_t)(k > 0 ? w : (1u << WEIGHT_BITS) - given[l]);
            given[l] += w;
        }
    return bad ? CALO_BAD_INDEX : CALO_OK;
}

/* Adds a component, whose argument is given, to the sums of frequencies below some symbol, in units of 2^-30 less a half. */
CALO_INLINE void add_component(const calo_mixture *m, const int32_t *argument, const int16_t *weight, uint32_t lanes,
                               int32_t *sum) {
    int16_t place[CALO_LANES], value[CALO_LANES];
    for (uint32_t l = 0; l < lanes; l++) {
        int32_t a = argument[l] >> ARGUMENT_DROP;
        a = a < -HALF_TABLE ? -HALF_TABLE : a;
        place[l] = (int16_t)(a > HALF_TABLE - 1 ? HALF_TABLE - 1 : a);
    }
    for (uint32_t l = 0; l < lanes; l++) value[l] = m->logistic[HALF_TABLE + place[l]];
    for (uint32_t l = 0; l < lanes; l++) sum[l] += (int32_t)weight[l] * value[l];
}

/* Sum of the frequencies below symbol `at`, for 0 < at < symbols; the 1 of each symbol before is in it. */
CALO_INLINE uint32_t stretch(const calo_mixture *m, int32_t sum, uint32_t at) {
    const uint32_t below = (uint32_t)(sum + (1 << (WEIGHT_BITS + 15))) >> WEIGHT_BITS;
    return at + (below * ((1u << PRECISION) - m->symbols) >> PRECISION);
}

/* The symbols whose range holds `slot`, with their ranges. Spoils `g`. */
CALO_INLINE void search(const calo_mixture *m, group *g, const uint32_t *slot, uint32_t lanes, uint32_t *symbol,
                        uint32_t *start, uint32_t *end) {
    uint32_t level = 0;
    while (2u << level < m->symbols) level++;
    for (uint32_t l = 0; l < lanes; l++) symbol[l] = start[l] = 0, end[l] = 1u << PRECISION;
    for (;; level--) {
        int32_t sum[CALO_LANES] = {0}, taken[CALO_LANES], argument[CALO_LANES];
        for (uint32_t k = 0; k < m->components; k++) {
            for (uint32_t l = 0; l < lanes; l++) argument[l] = g->argument[k][l] + (g->step[k][l] << level);
            add_component(m, argument, g->weight[k], lanes, sum);
        }
        for (uint32_t l = 0; l < lanes; l++) {
            const uint32_t at = symbol[l] + (1u << level), below = stretch(m, sum[l], at);
            taken[l] = -(int32_t)(at < m->symbols && below <= slot[l]);
            symbol[l] = taken[l] ? at : symbol[l];
            start[l] = taken[l] ? below : start[l];
            end[l] = taken[l] || at >= m->symbols ? end[l] : below;
        }
        if (level == 0) return;
        for (uint32_t k = 0; k < m->components; k++)
            for (uint32_t l = 0; l < lanes; l++) g->argument[k][l] += (g->step[k][l] << level) & taken[l];
    }
}

#ifdef CALO_X86_64

/* 8 entries of the logistic table; the arguments' shifts and clamps are those of `add_component`. */
CALO_INLINE __m128i look_up(const int16_t *logistic, __m128i low, __m128i high) {
    const int first = ARGUMENT_DROP - 16 + 13;
    const __m128i narrow = _mm_packs_epi32(_mm_srai_epi32(low, first), _mm_srai_epi32(high, first));
    const __m128i place = _mm_srai_epi16(narrow, ARGUMENT_DROP - first);
    int16_t p[8];
    _mm_storeu_si128((__m128i *)p, place);
    const int16_t *middle = logistic + HALF_TABLE;
    __m128i a = _mm_cvtsi32_si128((uint16_t)middle[p[0]]), b = _mm_cvtsi32_si128((uint16_t)middle[p[4]]);
    a = _mm_insert_epi16(a, middle[p[1]], 1), b = _mm_insert_epi16(b, middle[p[5]], 1);
    a = _mm_insert_epi16(a, middle[p[2]], 2), b = _mm_insert_epi16(b, middle[p[6]], 2);
    a = _mm_insert_epi16(a, middle[p[3]], 3), b = _mm_insert_epi16(b, middle[p[7]], 3);
    return _mm_unpacklo_epi64(a, b);
}

CALO_INLINE __m128i load(const void *p) { return _mm_loadu_si128(p); }
CALO_INLINE void store(void *p, __m128i x) { _mm_storeu_si128(p, x); }

CALO_INLINE __m128i choose(__m128i mask, __m128i yes, __m128i no) {
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

/* `stretch` of 4 lanes: the product of 16 bits by 17 is taken as below * 2^16 - below * symbols. */
CALO_INLINE __m128i stretch4(__m128i sum, __m128i at, __m128i symbols) {
    const __m128i below = _mm_srli_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (WEIGHT_BITS + 15))), WEIGHT_BITS);
    const __m128i all = _mm_slli_epi32(below, 16);
    const __m128i taken = _mm_or_si128(_mm_slli_epi32(_mm_mulhi_epu16(below, symbols), 16), _mm_mullo_epi16(below, symbols));
    return _mm_add_epi32(at, _mm_srli_epi32(_mm_sub_epi32(all, taken), 16));
}

/* As `search`, of 8 lanes. */
CALO_INLINE void search8(const calo_mixture *m, group *g, const uint32_t *slot, uint32_t *symbol, uint32_t *start,
                         uint32_t *end) {
    const __m128i symbols = _mm_set1_epi32((int32_t)m->symbols);
    const __m128i slots[2] = {load(slot), load(slot + 4)};
    __m128i at[2], from[2], to[2];
    for (int h = 0; h < 2; h++) at[h] = from[h] = _mm_setzero_si128(), to[h] = _mm_set1_epi32(1 << PRECISION);
    uint32_t level = 0;
    while (2u << level < m->symbols) level++;
    for (;; level--) {
        const __m128i shift = _mm_cvtsi32_si128((int)level), ahead = _mm_set1_epi32(1 << level);
        __m128i sum[2] = {_mm_setzero_si128(), _mm_setzero_si128()}, taken[2];
        for (uint32_t k = 0; k < m->components; k++) {
            const __m128i low = _mm_add_epi32(load(g->argument[k]), _mm_sll_epi32(load(g->step[k]), shift));
            const __m128i high = _mm_add_epi32(load(g->argument[k] + 4), _mm_sll_epi32(load(g->step[k] + 4), shift));
            const __m128i value = look_up(m->logistic, low, high), weight = load(g->weight[k]);
            const __m128i small = _mm_mullo_epi16(value, weight), large = _mm_mulhi_epi16(value, weight);
            sum[0] = _mm_add_epi32(sum[0], _mm_unpacklo_epi16(small, large));
            sum[1] = _mm_add_epi32(sum[1], _mm_unpackhi_epi16(small, large));
        }
        for (int h = 0; h < 2; h++) {
            const __m128i next = _mm_add_epi32(at[h], ahead), below = stretch4(sum[h], next, symbols);
            const __m128i inside = _mm_cmplt_epi32(next, symbols);
            taken[h] = _mm_andnot_si128(_mm_cmpgt_epi32(below, slots[h]), inside);
            to[h] = choose(_mm_andnot_si128(taken[h], inside), below, to[h]);
            from[h] = choose(taken[h], below, from[h]);
            at[h] = choose(taken[h], next, at[h]);
        }
        if (level == 0) break;
        for (uint32_t k = 0; k < m->components; k++)
            for (int h = 0; h < 2; h++) {
                const __m128i forward = _mm_and_si128(_mm_sll_epi32(load(g->step[k] + 4 * h), shift), taken[h]);
                store(g->argument[k] + 4 * h, _mm_add_epi32(load(g->argument[k] + 4 * h), forward));
            }
    }
    for (int h = 0; h < 2; h++) store(symbol + 4 * h, at[h]), store(start + 4 * h, from[h]), store(end + 4 * h, to[h]);
}

#else

CALO_INLINE void search8(const calo_mixture *m, group *g, const uint32_t *slot, uint32_t *symbol, uint32_t *start,
                         uint32_t *end) {
    search(m, g, slot, CALO_LANES, symbol, start, end);
}

#endif

/* Ranges of given symbols. */
CALO_INLINE int locate(const calo_mixture *m, const int32_t *symbols, const int32_t *parameters, size_t stride,
                       uint32_t lanes, uint32_t *places) {
    group g;
    if (prepare(m, parameters, stride, lanes, &g) != CALO_OK) return CALO_BAD_INDEX;
    int32_t start[CALO_LANES] = {0}, end[CALO_LANES] = {0}, argument[CALO_LANES];
    for (uint32_t l = 0; l < lanes; l++)
        if (CALO_RARE((uint32_t)symbols[l] >= m->symbols)) return CALO_BAD_INDEX;
    for (uint32_t k = 0; k < m->components; k++) {
        for (uint32_t l = 0; l < lanes; l++) argument[l] = g.argument[k][l] + symbols[l] * g.step[k][l];
        add_component(m, argument, g.weight[k], lanes, start);
        for (uint32_t l = 0; l < lanes; l++) argument[l] += g.step[k][l] & -(int32_t)(symbols[l] + 1 < CALO_MIXTURE_SYMBOLS);
        add_component(m, argument, g.weight[k], lanes, end);
    }
    for (uint32_t l = 0; l < lanes; l++) {
        const uint32_t s = (uint32_t)symbols[l];
        const uint32_t from = s > 0 ? stretch(m, start[l], s) : 0;
        const uint32_t to = s + 1 < m->symbols ? stretch(m, end[l], s + 1) : 1u << PRECISION;
        places[l] = from | (to - from) << 16;
    }
    return CALO_OK;
}

int calo_mixture_places(const calo_mixture *m, const int32_t *symbols, const int32_t *parameters, size_t stride,
                        size_t n, uint32_t *places) {
    size_t i = 0;
    for (; n - i >= CALO_LANES; i += CALO_LANES)
        if (locate(m, symbols + i, parameters + i, stride, CALO_LANES, places + i) != CALO_OK) return CALO_BAD_INDEX;
    for (; i < n; i++)
        if (locate(m, symbols + i, parameters + i, stride, 1, places + i) != CALO_OK) return CALO_BAD_INDEX;
    return CALO_OK;
}

/* x -> (x / f) * 2^16 + x % f + start, after a word left where the result would pass 2^32. */
CALO_INLINE uint32_t push(uint32_t place, uint32_t x, uint8_t **words) {
    const uint32_t frequency = place >> 16, start = place & 0xffff;
    const uint32_t full = x >> 16 >= frequency;
    (*words)[-2] = (uint8_t)x;
    (*words)[-1] = (uint8_t)(x >> 8);
    *words -= 2 * full;
    x = full ? x >> 16 : x;
    return x + start + x / frequency * ((1u << PRECISION) - frequency);
}

size_t calo_mixture_encode(const uint32_t *places, size_t n, uint32_t lanes, uint32_t lane, uint32_t *states,
                           uint8_t *words, size_t position) {
    uint8_t *w = words + position;
    for (size_t i = n; i > 0; i--) {
        states[lane] = push(places[i - 1], states[lane], &w);
        lane = (lane + lanes - 1) % lanes;
    }
    return (size_t)(w - words);
}

CALO_INLINE uint32_t pop(uint32_t x, uint32_t start, uint32_t end) {
    return (end - start) * (x >> PRECISION) + (x & 0xffff) - start;
}

static int decode_careful(calo_decoder *d, const calo_mixture *m, const int32_t *parameters, size_t stride, size_t n,
                          int32_t *symbols) {
    for (size_t i = 0; i < n; i++) {
        group g;
        if (prepare(m, parameters + i, stride, 1, &g) != CALO_OK) return CALO_BAD_INDEX;
        uint32_t *x = d->states + d->lane, slot = *x & 0xffff, symbol, start, end;
        search(m, &g, &slot, 1, &symbol, &start, &end);
        symbols[i] = (int32_t)symbol;
        *x = pop(*x, start, end);
        if (*x < CALO_STATE_MIN) {
            if (d->size - d->position < 2) return CALO_CORRUPT;
            *x = *x << 16 | load16(d->data + d->position);
            d->position += 2;
        }
        d->lane = (d->lane + 1) % d->lanes;
    }
    return CALO_OK;
}

int calo_mixture_decode(calo_decoder *d, const calo_mixture *m, const int32_t *parameters, size_t stride, size_t n,
                        int32_t *symbols) {
    if (n > 0 && d->size == 0) return CALO_CORRUPT;
    size_t i = 0;
    if (d->lanes == CALO_LANES) {
        const size_t head = (CALO_LANES - d->lane) % CALO_LANES;
        i = head < n ? head : n;
        const int status = decode_careful(d, m, parameters, stride, i, symbols);
        if (status != CALO_OK) return status;
        const uint8_t *w = d->data + d->position, *end = d->data + d->size;
        for (; n - i >= CALO_LANES && end - w >= 2 * CALO_LANES; i += CALO_LANES) {
            group g;
            uint32_t slots[CALO_LANES], found[CALO_LANES], from[CALO_LANES], to[CALO_LANES];
            if (prepare(m, parameters + i, stride, CALO_LANES, &g) != CALO_OK) return CALO_BAD_INDEX;
            for (uint32_t l = 0; l < CALO_LANES; l++) slots[l] = d->states[l] & 0xffff;
            search8(m, &g, slots, found, from, to);
            for (uint32_t l = 0; l < CALO_LANES; l++) {
                symbols[i + l] = (int32_t)found[l];
                d->states[l] = refill(pop(d->states[l], from[l], to[l]), &w);
            }
            d->position = (size_t)(w - d->data);
        }
    }
    return decode_careful(d, m, parameters + i, stride, n - i, symbols + i);
}
