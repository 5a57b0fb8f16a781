/* Table rANS, encoding side: symbols to entries (forwards), entries to words (backwards). */
#include "calotype.h"

/* How far a value lies outside its table, even above and odd below, as a varint of at most 5 bytes. */
static size_t write_escape(const calo_table *table, int32_t symbol, uint8_t *out) {
    const int64_t below = (int64_t)table->minimum - 1 - symbol;
    const int64_t above = (int64_t)symbol - table->minimum - table->count;
    uint64_t value = below >= 0 ? (uint64_t)below << 1 | 1 : (uint64_t)above << 1;
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

int64_t calo_places(const calo_tables *set, const int32_t *symbols, const int32_t *index, size_t n,
                    uint32_t *places, uint8_t *escapes, size_t capacity, size_t *escaped) {
    const uint32_t tables = set->tables;
    size_t written = 0, i = 0;
    for (; i < n; i++) {
        const uint32_t t = (uint32_t)index[i];
        if (CALO_RARE(t >= tables)) return CALO_BAD_INDEX;
        const calo_table *table = set->table + t;
        const uint32_t offset = (uint32_t)symbols[i] - (uint32_t)table->minimum;
        if (CALO_RARE(offset >= table->count)) {
            if (capacity - written < 5) break;
            written += write_escape(table, symbols[i], escapes + written);
            places[i] = table->start + table->count;
        } else {
            places[i] = table->start + offset;
        }
    }
    *escaped = written;
    return (int64_t)i;
}

/* x -> (x / f) * 2^14 + x % f + start, after a word left where the result would pass 2^32.

   The quotient is exact: with r = ceil(2^46 / f) = (2^46 + e) / f, 0 <= e < f, x r / 2^46 = x / f + x e / (f 2^46), and
   x < 2^18 f gives x e < 2^18 f (f - 1) < 2^46, so the excess stays below 1 / f. The product does not overflow:
   x r <= (2^18 f - 1)(2^46 + e) / f < 2^64, because 2^18 e f < 2^46. */
CALO_INLINE uint32_t push(const calo_symbol *symbol, uint32_t x, uint8_t **words) {
    const uint32_t full = x >= symbol->limit;
    (*words)[-2] = (uint8_t)x;
    (*words)[-1] = (uint8_t)(x >> 8);
    *words -= 2 * full;
    x = full ? x >> 16 : x;
    const uint32_t quotient = (uint32_t)((uint64_t)x * symbol->reciprocal >> 46);
    return x + symbol->start + quotient * symbol->complement;
}

/* `words` has room for a word more than is kept, because `push` writes before it decides. */
size_t calo_encode(const calo_tables *set, const uint32_t *places, size_t n, uint32_t lanes, uint32_t lane,
                   uint32_t *states, uint8_t *words, size_t position) {
    const calo_symbol *symbol = set->symbol;
    uint8_t *w = words + position;
    size_t i = n;
    if (lanes == CALO_LANES) {
        for (; i > 0 && lane != CALO_LANES - 1; i--) {
            states[lane] = push(symbol + places[i - 1], states[lane], &w);
            lane = (lane + CALO_LANES - 1) % CALO_LANES;
        }
        uint32_t x0 = states[0], x1 = states[1], x2 = states[2], x3 = states[3];
        uint32_t x4 = states[4], x5 = states[5], x6 = states[6], x7 = states[7];
        for (; i >= CALO_LANES; i -= CALO_LANES) {
            const uint32_t *p = places + i - CALO_LANES;
            x7 = push(symbol + p[7], x7, &w);
            x6 = push(symbol + p[6], x6, &w);
            x5 = push(symbol + p[5], x5, &w);
            x4 = push(symbol + p[4], x4, &w);
            x3 = push(symbol + p[3], x3, &w);
            x2 = push(symbol + p[2], x2, &w);
            x1 = push(symbol + p[1], x1, &w);
            x0 = push(symbol + p[0], x0, &w);
        }
        states[0] = x0, states[1] = x1, states[2] = x2, states[3] = x3;
        states[4] = x4, states[5] = x5, states[6] = x6, states[7] = x7;
        for (; i > 0; i--, lane--) states[lane] = push(symbol + places[i - 1], states[lane], &w);
    } else {
        uint32_t x = states[0];
        for (; i > 0; i--) x = push(symbol + places[i - 1], x, &w);
        states[0] = x;
    }
    return (size_t)(w - words);
}
