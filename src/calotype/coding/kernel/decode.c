/* Table rANS, decoding side. The bytes and the table numbers are hostile. */
#include "rans.h"

enum { FLAG_LANES = 1, FLAG_ESCAPES = 2, BLOCK = 4096 };

static uint32_t load32(const uint8_t *p) { return load16(p) | load16(p + 2) << 16; }

/* An LEB128 number below 2^35 from data[*position .. end). */
static int read_varint(const uint8_t *data, size_t end, size_t *position, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (*position >= end) return CALO_CORRUPT;
        const uint8_t byte = data[(*position)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return CALO_OK;
    }
    return CALO_CORRUPT;
}

int calo_decoder_open(calo_decoder *d, const uint8_t *data, size_t size) {
    *d = (calo_decoder){.data = data, .size = size, .lanes = 1};
    for (unsigned k = 0; k < CALO_LANES; k++) d->states[k] = CALO_STATE_MIN;
    if (size == 0) return CALO_OK;
    const uint8_t flags = data[0];
    if (flags & ~(FLAG_LANES | FLAG_ESCAPES)) return CALO_CORRUPT;
    d->lanes = flags & FLAG_LANES ? CALO_LANES : 1;
    d->escape = 1;
    uint64_t escaped = 0;
    if (flags & FLAG_ESCAPES) {
        if (read_varint(data, size, &d->escape, &escaped) != CALO_OK || escaped == 0) return CALO_CORRUPT;
        if (escaped > size - d->escape) return CALO_CORRUPT;
    }
    d->escape_end = d->escape + (size_t)escaped;
    d->position = d->escape_end;
    if (size - d->position < 4 * (size_t)d->lanes || (size - d->position) % 2) return CALO_CORRUPT;
    for (unsigned k = 0; k < d->lanes; k++, d->position += 4) {
        d->states[k] = load32(data + d->position);
        if (d->states[k] < CALO_STATE_MIN) return CALO_CORRUPT;
    }
    return CALO_OK;
}

int calo_decoder_close(const calo_decoder *d) {
    if (d->position != d->size || d->escape != d->escape_end) return CALO_DESYNC;
    for (unsigned k = 0; k < CALO_LANES; k++)
        if (d->states[k] != CALO_STATE_MIN) return CALO_DESYNC;
    return CALO_OK;
}

/* True if all table numbers lie in [0, tables): neither t nor tables - 1 - t has its sign bit set. */
static int indices_valid(const int32_t *index, size_t n, uint32_t tables) {
    uint32_t signs = 0;
    for (size_t i = 0; i < n; i++) signs |= (uint32_t)index[i] | (tables - 1 - (uint32_t)index[i]);
    return signs >> 31 == 0;
}

static int read_escape(calo_decoder *d, const calo_table *table, int32_t *symbol) {
    uint64_t value;
    if (read_varint(d->data, d->escape_end, &d->escape, &value) != CALO_OK) return CALO_CORRUPT;
    const int64_t distance = (int64_t)(value >> 1);
    const int64_t s = value & 1 ? (int64_t)table->minimum - 1 - distance
                                : (int64_t)table->minimum + table->count + distance;
    if (s < INT32_MIN || s > INT32_MAX) return CALO_CORRUPT;
    *symbol = (int32_t)s;
    return CALO_OK;
}

/* The symbol lies further on in its bucket, or is an escape. Returns as `pop`. */
CALO_NOINLINE uint32_t pop_rare(calo_decoder *d, const calo_tables *set, uint32_t t, uint32_t place, uint32_t x,
                                int32_t *symbol) {
    const uint32_t slot = x % CALO_TOTAL;
    while (set->entry[place + 1].start <= slot) place++;
    const uint32_t start = set->entry[place].start;
    uint32_t frequency = set->entry[place].frequency;
    *symbol = (int32_t)(place + set->shift[t]);
    if (frequency == 0) {
        frequency = CALO_TOTAL - start;
        if (read_escape(d, set->table + t, symbol) != CALO_OK) d->corrupt = 1;
    }
    return frequency * (x >> CALO_PRECISION) + slot - start;
}

/* Takes one symbol off state x and returns the state before renormalisation.

   A bucket holds the entry of its first slot, and how far it is to the first slot of the next entry, such that adding
   the slot carries into the entry number (see `build_buckets`). `pop_rare` does the rest. */
CALO_INLINE uint32_t pop(calo_decoder *d, const calo_tables *set, const calo_entry *entries, const uint32_t *buckets,
                         const uint32_t *shifts, uint32_t width, uint32_t t, uint32_t x, int32_t *symbol) {
    const uint32_t slot = x % CALO_TOTAL;
    const uint32_t bucket = buckets[((size_t)t << (CALO_PRECISION - width)) + (slot >> width)];
    const uint32_t place = (bucket + slot) >> (width + 1);
    const uint32_t frequency = entries[place].frequency, offset = slot - entries[place].start;
    if (CALO_RARE(offset >= frequency)) return pop_rare(d, set, t, place, x, symbol);
    *symbol = (int32_t)(place + shifts[t]);
    return frequency * (x >> CALO_PRECISION) + offset;
}

static int decode_careful(calo_decoder *d, const calo_tables *set, const int32_t *index, size_t n,
                          int32_t *symbols) {
    for (size_t i = 0; i < n; i++) {
        uint32_t *x = d->states + d->lane;
        *x = pop(d, set, set->entry, set->bucket, set->shift, set->width, (uint32_t)index[i], *x, symbols + i);
        if (*x < CALO_STATE_MIN) {
            if (d->size - d->position < 2) return CALO_CORRUPT;
            *x = *x << 16 | load16(d->data + d->position);
            d->position += 2;
        }
        d->lane = (d->lane + 1) % d->lanes;
    }
    return d->corrupt ? CALO_CORRUPT : CALO_OK;
}

#define STEP(k)                                                                                                 \
    do {                                                                                                        \
        x##k = pop(d, set, entries, buckets, shifts, width, (uint32_t)index[i + k], x##k, symbols + i + k);     \
        x##k = refill(x##k, &w);                                                                                \
    } while (0)

/* Groups of 8 symbols, while a group's words surely exist. Returns how many symbols. */
CALO_INLINE size_t decode_groups(calo_decoder *d, const calo_tables *set, uint32_t width, const int32_t *index,
                                 size_t n, int32_t *symbols) {
    const calo_entry *entries = set->entry;
    const uint32_t *buckets = set->bucket, *shifts = set->shift;
    const uint8_t *w = d->data + d->position, *end = d->data + d->size;
    uint32_t *states[CALO_LANES];                             /* the first symbol has any lane */
    for (unsigned k = 0; k < CALO_LANES; k++) states[k] = d->states + (d->lane + k) % CALO_LANES;
    uint32_t x0 = *states[0], x1 = *states[1], x2 = *states[2], x3 = *states[3];
    uint32_t x4 = *states[4], x5 = *states[5], x6 = *states[6], x7 = *states[7];
    size_t i = 0;
    for (; n - i >= CALO_LANES && end - w >= 2 * CALO_LANES; i += CALO_LANES) {
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        STEP(4);
        STEP(5);
        STEP(6);
        STEP(7);
    }
    *states[0] = x0, *states[1] = x1, *states[2] = x2, *states[3] = x3;
    *states[4] = x4, *states[5] = x5, *states[6] = x6, *states[7] = x7;
    d->position = (size_t)(w - d->data);
    return i;
}

static int decode_block(calo_decoder *d, const calo_tables *set, const int32_t *index, size_t n,
                        int32_t *symbols) {
    size_t i = 0;
    if (d->lanes == CALO_LANES && n >= CALO_LANES) {
        i = set->width == CALO_NARROW ? decode_groups(d, set, CALO_NARROW, index, n, symbols)
                                      : decode_groups(d, set, CALO_WIDE, index, n, symbols);
    }
    return decode_careful(d, set, index + i, n - i, symbols + i);
}

int calo_decode(calo_decoder *d, const calo_tables *set, const int32_t *index, size_t n, int32_t *symbols) {
    if (n > 0 && d->size == 0) return CALO_CORRUPT;
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t block = n - i < BLOCK ? n - i : BLOCK;
        if (!indices_valid(index + i, block, set->tables)) return CALO_BAD_INDEX;
        const int status = decode_block(d, set, index + i, block, symbols + i);
        if (status != CALO_OK) return status;
    }
    return CALO_OK;
}
