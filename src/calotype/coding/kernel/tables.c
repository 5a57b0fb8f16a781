/* Derives what encoder and decoder look up from frequency tables. */
#include "calotype.h"

/* A bucket of 2^w slots whose first slot belongs to entry k, and in which entry k + 1 begins at slot b (from 1), is
   k * 2^(w+1) + 2^(w+1) - b less its first slot, modulo 2^32: adding a slot from b on carries, so that
   (bucket + slot) >> (w + 1) is k + 1. Where no further entry begins inside, b = 2^w, which is never reached. */
static void build_buckets(calo_tables *set, uint32_t t, uint32_t k, uint32_t entries) {
    const uint32_t w = set->width, last = k + entries - 1;
    uint32_t *bucket = set->bucket + ((size_t)t << (CALO_PRECISION - w));
    for (uint32_t slot = 0; slot < CALO_TOTAL; slot += 1u << w) {
        while (k < last && set->entry[k + 1].start <= slot) k++;
        uint32_t next = k < last ? set->entry[k + 1].start - slot : CALO_TOTAL;
        if (next > 1u << w) next = 1u << w;
        *bucket++ = (k << (w + 1)) + (2u << w) - next - slot;
    }
}

static int build_one(calo_tables *set, uint32_t t, const uint16_t *frequencies, uint32_t entries) {
    const uint32_t first = set->table[t].start;
    uint32_t sum = 0;
    for (uint32_t k = 0; k < entries; k++) {
        const uint32_t f = frequencies[k];
        if (f == 0 || f >= CALO_TOTAL || sum + f > CALO_TOTAL) return CALO_BAD_TABLE;
        set->entry[first + k] = (calo_entry){(uint16_t)sum, (uint16_t)(k + 1 < entries ? f : 0)};
        set->symbol[first + k] = (calo_symbol){
            .reciprocal = ((UINT64_C(1) << 46) + f - 1) / f,
            .limit = f << 18,
            .start = (uint16_t)sum,
            .complement = (uint16_t)(CALO_TOTAL - f),
        };
        sum += f;
    }
    for (uint32_t k = entries; k < entries + CALO_GUARDS; k++) {
        set->entry[first + k] = (calo_entry){UINT16_MAX, 0};
        set->symbol[first + k] = (calo_symbol){0};
    }
    if (sum != CALO_TOTAL) return CALO_BAD_TABLE;
    build_buckets(set, t, first, entries);
    return CALO_OK;
}

int calo_tables_build(calo_tables *set, const uint16_t *frequencies, size_t size, const int32_t *lengths,
                      const int32_t *minimums) {
    size_t read = 0, start = 0;
    const size_t limit = (size_t)1 << (31 - set->width);       /* entry numbers must fit beside a bucket's slots */
    if (size > limit || (size_t)set->tables * CALO_GUARDS > limit - size) return CALO_BAD_TABLE;
    for (uint32_t t = 0; t < set->tables; t++) {
        if (lengths[t] < 1 || lengths[t] >= CALO_TOTAL) return CALO_BAD_TABLE;
        const uint32_t entries = (uint32_t)lengths[t] + 1;
        if (entries > size - read) return CALO_BAD_TABLE;
        if ((int64_t)minimums[t] + lengths[t] - 1 > INT32_MAX) return CALO_BAD_TABLE;
        set->table[t] = (calo_table){
            .start = (uint32_t)start,
            .count = (uint32_t)lengths[t],
            .minimum = minimums[t],
        };
        set->shift[t] = (uint32_t)minimums[t] - (uint32_t)start;
        const int status = build_one(set, t, frequencies + read, entries);
        if (status != CALO_OK) return status;
        read += entries;
        start += entries + CALO_GUARDS;
    }
    return read == size ? CALO_OK : CALO_BAD_TABLE;
}
