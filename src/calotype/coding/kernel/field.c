/* Adaptive coding of latents: the order of symbols, to places when encoding, from a stream when decoding. */
#include "field.h"

#include "numbers.h"
#include "processor.h"
#include "rans.h"

static int portable = 0;

void calo_field_portable(int yes) { portable = yes; }

static const calo_arithmetic *choose_arithmetic(void) {
#ifdef CALO_X86_64
    if (!portable && calo_processor() & CALO_AVX2) return &calo_arithmetic_avx2;
#endif
    return &calo_arithmetic_plain;
}

/* Entries from one at a place to a neighbour's. */
static ptrdiff_t way_to(const calo_field *f, int place, calo_neighbour n) {
    const int side = (int)f->side, far = CALO_REACH * side;   /* far: so that nothing is negative */
    const int y = place / side + n.rows + far, x = place % side + n.columns + far;
    const ptrdiff_t planes = n.channels * (ptrdiff_t)f->places + y % side * side + x % side - place;
    return planes * (ptrdiff_t)f->plane + (y / side - CALO_REACH) * (ptrdiff_t)f->stride + (x / side - CALO_REACH);
}

static void open_channel(const calo_field *f, const calo_part *part, uint32_t number, calo_channel *c) {
    const size_t channel = part->channel + number, place = part->row * f->side + part->column;
    const size_t first = CALO_REACH * f->stride + CALO_REACH;
    c->channel = (uint32_t)channel;
    c->start = (channel * f->places + place) * f->plane + first;
    c->cell = channel * f->plane + first;
    c->site = place * f->plane + first;
    for (size_t l = 0; l < CALO_LISTS; l++) {
        const size_t begin = (channel * CALO_LISTS + l) * CALO_FRIENDS;
        int t = 0;
        for (; t < CALO_FRIENDS && f->friend_weight[begin + (size_t)t] > 0; t++) {
            const size_t other = (size_t)f->friend[begin + (size_t)t];
            c->friend[l][t] = l == 0 ? f->known + (other * f->places + place) * f->plane + first : f->cells + other * f->plane + first;
            c->weight[l][t] = f->friend_weight[begin + (size_t)t];
        }
        c->friends[l] = t;
    }
    for (size_t k = 0; k < CALO_SIGNS; k++) c->sign[k] = way_to(f, (int)place, f->sign[channel * CALO_SIGNS + k]);
}

static float expected_at(const calo_field *f, size_t entry) { return as_float((int32_t)(f->known[entry] << 16)); }

static int indices_valid(const calo_field *f, const calo_part *parts, size_t count, const int32_t *index) {
    size_t n = 0;
    for (size_t p = 0; p < count; p++) n += (size_t)parts[p].channels * f->rows * f->columns;
    uint32_t signs = 0;
    for (size_t i = 0; i < n; i++) signs |= (uint32_t)index[i] | (f->indices - 1 - (uint32_t)index[i]);
    return signs >> 31 == 0;
}

static int32_t level_of(int32_t symbol) { return symbol < 0 ? -symbol : symbol; }

/* Table of a sign whose logit is known. */
static uint32_t sign_table(const calo_field *f, float logit) {
    return f->level_tables + (uint32_t)(int32_t)(within(logit, -4.0f, 4.0f) * 4.0f + 16.5f);
}

/* What a symbol says to the signs of others: 32 times its share of what was expected there. */
static int8_t lean_of(int32_t level, float expected, int positive) {
    const float lean = least((float)at_most(level, CALO_LEVEL_MAX) / (expected + 0.5f), 3.0f) * 32.0f + 0.5f;
    return (int8_t)((int32_t)lean * (2 * positive - 1));
}

/* --- encoding ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const calo_tables *tables;
    uint32_t *places;
    size_t placed;
    uint8_t *escapes;
    size_t escaped;
} writer;

static void write_symbol(writer *w, uint32_t table, int32_t symbol) {
    const int32_t number = (int32_t)table;
    size_t written;
    calo_places(w->tables, &symbol, &number, 1, w->places + w->placed++, w->escapes + w->escaped, 5, &written);
    w->escaped += written;
}

/* The nearest integer of a row's targets, or the one next to it towards zero if that costs less. */
static void choose_levels(const calo_field *f, const calo_targets *targets, size_t at, int32_t *symbols,
                          const calo_work *work) {
    const float *x = targets->values + at, *worth = targets->worth + at;
    for (uint32_t j = 0; j < f->columns; j++) {
        const float size = least(magnitude(x[j]), (float)targets->most);
        int32_t level = (int32_t)(size + 0.5f);
        if (level > 0) {
            const calo_table *table = f->tables->table + work->table[j];
            const float *bits = targets->bits + table->start;
            const float here = bits[at_most(level, (int)table->count)] + 1.0f;
            const float less = bits[at_most(level - 1, (int)table->count)] + (level > 1 ? 1.0f : 0.0f);
            const float error = size - (float)level, other = error + 1.0f;
            if (other * other + worth[j] * less < error * error + worth[j] * here) level--;
        }
        symbols[j] = x[j] < 0 ? -level : level;
    }
}

/* A channel whose first symbol is number `at`. */
static void encode_channel(calo_field *f, const calo_arithmetic *a, const calo_channel *c, const calo_targets *targets,
                           size_t at, int32_t *symbols, const int32_t *index, writer *w) {
    calo_work work;
    calo_sums sums = {0};
    for (uint32_t i = 0; i < f->rows; i++) {
        const size_t first = at + (size_t)i * f->columns;
        int32_t *row = symbols + first;
        a->predict(f, c, i, index + first, &work);
        if (targets) choose_levels(f, targets, first, row, &work);
        for (uint32_t j = 0; j < f->columns; j++) {
            work.level[j] = level_of(row[j]);
            write_symbol(w, (uint32_t)work.table[j], work.level[j]);
        }
        a->learn(f, c, i, &work, &sums);
    }
    a->learn_common(f, &sums);
    for (uint32_t i = 0; i < f->rows; i++) {
        for (uint32_t j = 0; j < f->columns; j++) {
            const int32_t s = symbols[at + (size_t)i * f->columns + j];
            if (s == 0) continue;
            const size_t entry = c->start + i * f->stride + j;
            if (f->sign_known[c->channel]) {
                calo_sign sign;
                a->predict_sign(f, c, entry, &sign);
                write_symbol(w, sign_table(f, sign.logit), s > 0);
                a->learn_sign(f, c, &sign, s > 0);
            } else {
                write_symbol(w, sign_table(f, 0.0f), s > 0);
            }
            f->lean[entry] = lean_of(level_of(s), expected_at(f, entry), s > 0);
        }
    }
}

int calo_field_encode(calo_field *f, const calo_part *parts, size_t count, const calo_targets *targets, int32_t *symbols,
                      const int32_t *index, uint32_t *places, size_t *placed, uint8_t *escapes, size_t *escaped) {
    if (!indices_valid(f, parts, count, index)) return CALO_BAD_INDEX;
    const calo_arithmetic *a = choose_arithmetic();
    const float_mode before = begin_standard_floats();
    const size_t size = (size_t)f->rows * f->columns;
    writer w = {f->tables, places, 0, escapes, 0};
    calo_channel c;
    size_t q = 0;
    for (size_t p = 0; p < count; p++) {
        for (uint32_t k = 0; k < parts[p].channels; k++, q++) {
            open_channel(f, parts + p, k, &c);
            encode_channel(f, a, &c, targets, q * size, symbols, index, &w);
        }
    }
    *placed = w.placed, *escaped = w.escaped;
    end_standard_floats(&before);
    return CALO_OK;
}

/* --- decoding ---------------------------------------------------------------------------------------------------- */

static int decode_levels(calo_field *f, const calo_arithmetic *a, const calo_channel *c, calo_decoder *d,
                         const int32_t *index, int32_t *symbols) {
    calo_work work;
    calo_sums sums = {0};
    for (uint32_t i = 0; i < f->rows; i++, index += f->columns, symbols += f->columns) {
        a->predict(f, c, i, index, &work);
        const int status = calo_decode(d, f->tables, work.table, f->columns, work.level);
        if (status != CALO_OK) return status;
        int32_t any = 0;
        for (uint32_t j = 0; j < f->columns; j++) any |= symbols[j] = work.level[j];
        if (any < 0) return CALO_CORRUPT;
        a->learn(f, c, i, &work, &sums);
    }
    a->learn_common(f, &sums);
    return CALO_OK;
}

static int decode_known_signs(calo_field *f, const calo_arithmetic *a, const calo_channel *c, calo_decoder *d, size_t entry,
                              const uint32_t *where, size_t n, int32_t *positive, const int32_t *levels) {
    for (size_t k = 0; k < n; k++) {
        calo_sign sign;
        a->predict_sign(f, c, entry + where[k], &sign);
        const int32_t table = (int32_t)sign_table(f, sign.logit);
        const int status = calo_decode(d, f->tables, &table, 1, positive + k);
        if (status != CALO_OK) return status;
        a->learn_sign(f, c, &sign, positive[k] == 1);
        f->lean[entry + where[k]] = lean_of(levels[where[k]], expected_at(f, entry + where[k]), positive[k] == 1);
    }
    return CALO_OK;
}

static int decode_signs(calo_field *f, const calo_arithmetic *a, const calo_channel *c, calo_decoder *d, int32_t *symbols) {
    const int known = f->sign_known[c->channel];
    uint32_t where[CALO_COLUMNS];
    int32_t positive[CALO_COLUMNS], even[CALO_COLUMNS];
    for (uint32_t j = 0; j < f->columns; j++) even[j] = (int32_t)sign_table(f, 0.0f);
    for (uint32_t i = 0; i < f->rows; i++, symbols += f->columns) {
        const size_t entry = c->start + i * f->stride;
        size_t n = 0;
        for (uint32_t j = 0; j < f->columns; j++) where[n] = j, n += symbols[j] != 0;
        const int status = known ? decode_known_signs(f, a, c, d, entry, where, n, positive, symbols)
                                 : calo_decode(d, f->tables, even, n, positive);
        if (status != CALO_OK) return status;
        for (size_t k = 0; k < n; k++) {
            int32_t *s = symbols + where[k];
            if (positive[k] >> 1) return CALO_CORRUPT;
            if (!known) f->lean[entry + where[k]] = lean_of(*s, expected_at(f, entry + where[k]), positive[k]);
            *s *= 2 * positive[k] - 1;
        }
    }
    return CALO_OK;
}

int calo_field_decode(calo_field *f, const calo_part *parts, size_t count, calo_decoder *d, const int32_t *index,
                      int32_t *symbols) {
    if (!indices_valid(f, parts, count, index)) return CALO_BAD_INDEX;
    const calo_arithmetic *a = choose_arithmetic();
    const float_mode before = begin_standard_floats();
    const size_t size = (size_t)f->rows * f->columns;
    calo_channel c;
    int status = CALO_OK;
    for (size_t p = 0; p < count; p++) {
        for (uint32_t k = 0; k < parts[p].channels && status == CALO_OK; k++, index += size, symbols += size) {
            open_channel(f, parts + p, k, &c);
            status = decode_levels(f, a, &c, d, index, symbols);
            if (status == CALO_OK) status = decode_signs(f, a, &c, d, symbols);
        }
    }
    end_standard_floats(&before);
    return status;
}
