/* Throws random tables, mixtures, adaptive tables, layers of bits, streams and damaged streams at the kernel; compiled with sanitisers by test_fuzz.py.

   Usage: fuzz rounds seconds seed; it goes on until both are over. All buffers are exactly as large as the interface asks, so that one byte too far is seen.
   Undamaged streams must decode to what was encoded. */
#include "calotype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;

static uint64_t random64(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint32_t below(uint32_t n) { return (uint32_t)((random64() >> 32) * n >> 32); }

static void *allocate(size_t size) {
    void *p = malloc(size);                   /* of 0 bytes too: any access is then an error */
    if (!p) abort();
    return p;
}

typedef struct {
    uint16_t *frequencies;
    int32_t *lengths, *minimums;
    size_t size;
    calo_tables set;
} tables;

static void tables_free(tables *t) {
    free(t->frequencies), free(t->lengths), free(t->minimums);
    free(t->set.table), free(t->set.shift), free(t->set.entry), free(t->set.symbol), free(t->set.bucket);
}

/* Random frequencies with the right sum: flat, geometric, or one that has nearly everything. */
static void fill(uint16_t *frequencies, uint32_t entries) {
    uint32_t left = CALO_TOTAL - entries;
    for (uint32_t k = 0; k < entries; k++) frequencies[k] = 1;
    const uint32_t pieces = 1 + below(2 * entries);
    for (uint32_t k = 0; k < pieces && left > 0; k++) {
        const uint32_t part = k + 1 == pieces ? left : below(left / (1 + below(8)) + 1);
        frequencies[below(entries)] += (uint16_t)part;
        left -= part;
    }
    frequencies[below(entries)] += (uint16_t)left;
}

static int tables_make(tables *t, int damaged) {
    const uint32_t count = 1 + below(below(8) ? 12 : 400);
    t->lengths = allocate(4 * count), t->minimums = allocate(4 * count);
    t->size = 0;
    for (uint32_t k = 0; k < count; k++) {
        t->lengths[k] = (int32_t)(1 + below(below(4) ? 12 : below(40) ? 700 : CALO_TOTAL - 2));
        t->minimums[k] = below(4) ? (int32_t)below(200) - 100 : (int32_t)random64();
        if (t->minimums[k] > INT32_MAX - t->lengths[k]) t->minimums[k] = INT32_MAX - t->lengths[k] + 1;
        t->size += (size_t)t->lengths[k] + 1;
    }
    t->frequencies = allocate(2 * t->size);
    for (size_t k = 0, at = 0; k < count; at += (size_t)t->lengths[k++] + 1)
        fill(t->frequencies + at, (uint32_t)t->lengths[k] + 1);
    for (uint32_t k = damaged ? 1 + below(3) : 0; k > 0; k--) {
        if (below(2)) t->frequencies[below((uint32_t)t->size)] = (uint16_t)random64();
        else if (below(2)) t->lengths[below(count)] = below(2) ? (int32_t)below(40) - 10 : (int32_t)random64();
        else t->minimums[below(count)] = (int32_t)random64();
    }
    const size_t entries = t->size + (size_t)count * CALO_GUARDS;
    const uint32_t width = below(2) ? CALO_NARROW : CALO_WIDE;
    t->set = (calo_tables){
        .tables = count,
        .width = width,
        .table = allocate(count * sizeof(calo_table)),
        .shift = allocate(count * 4),
        .entry = allocate(entries * sizeof(calo_entry)),
        .symbol = allocate(entries * sizeof(calo_symbol)),
        .bucket = allocate((size_t)count * 4 << (CALO_PRECISION - width)),
    };
    return calo_tables_build(&t->set, t->frequencies, t->size, t->lengths, t->minimums);
}

static size_t put_varint(uint8_t *out, uint64_t value) {
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

/* A stream of n symbols; as Encoder.finish in coder.py. The caller frees it. */
static uint8_t *encode(const tables *t, const int32_t *symbols, const int32_t *index, size_t n, uint32_t lanes,
                       size_t *size) {
    uint32_t *places = allocate(4 * n);
    size_t capacity = 5 * n, escaped = 0;
    uint8_t *escapes = allocate(capacity), *words = allocate(2 * n);
    if (calo_places(&t->set, symbols, index, n, places, escapes, capacity, &escaped) != (int64_t)n) abort();
    uint32_t states[CALO_LANES];
    for (int k = 0; k < CALO_LANES; k++) states[k] = CALO_STATE_MIN;
    size_t position = 2 * n, end = n;
    while (end > 0) {
        const size_t run = 1 + below((uint32_t)end);
        position = calo_encode(&t->set, places + end - run, run, lanes, (uint32_t)(end - 1) % lanes, states, words,
                               position);
        end -= run;
    }
    uint8_t *stream = allocate(1 + 5 + escaped + 4 * CALO_LANES + 2 * n);
    size_t at = 0;
    stream[at++] = (uint8_t)((lanes == CALO_LANES) | (escaped > 0) << 1);
    if (escaped > 0) {
        at += put_varint(stream + at, escaped);
        memcpy(stream + at, escapes, escaped);
        at += escaped;
    }
    for (uint32_t k = 0; k < lanes; k++)
        for (int byte = 0; byte < 4; byte++) stream[at++] = (uint8_t)(states[k] >> 8 * byte);
    memcpy(stream + at, words + position, 2 * n - position);
    at += 2 * n - position;
    uint8_t *exact = allocate(at);
    memcpy(exact, stream, at);
    free(stream), free(places), free(escapes), free(words);
    *size = at;
    return exact;
}

/* Decodes in random portions. Returns 1 if everything was in order. */
static int decode(const tables *t, const uint8_t *data, size_t size, const int32_t *index, size_t n, int32_t *symbols) {
    calo_decoder decoder;
    if (calo_decoder_open(&decoder, data, size) != CALO_OK) return 0;
    for (size_t i = 0, run; i < n; i += run) {
        run = 1 + below((uint32_t)(n - i));
        const int status = calo_decode(&decoder, &t->set, index + i, run, symbols + i);
        if (status != CALO_OK && below(4)) return 0;      /* sometimes go on, as a careless caller would */
    }
    return calo_decoder_close(&decoder) == CALO_OK;
}

static uint64_t digest = UINT64_C(0xcbf29ce484222325);     /* of all intact streams (FNV-1a), to compare machines by */

static uint8_t *damage(const uint8_t *data, size_t *size) {
    for (size_t k = 0; k < *size; k++) digest = (digest ^ data[k]) * UINT64_C(0x100000001b3);
    size_t length = below(3) ? *size : below((uint32_t)*size + 8);
    uint8_t *copy = allocate(length);
    for (size_t k = 0; k < length; k++) copy[k] = k < *size ? data[k] : (uint8_t)random64();
    const uint32_t changes = below(6), reach = below(2) ? 64 : UINT32_MAX;
    for (uint32_t k = 0; k < changes && length > 0; k++) {
        const uint32_t at = below((uint32_t)(length < reach ? length : reach));
        copy[at] = below(2) ? (uint8_t)(copy[at] ^ 1u << below(8)) : (uint8_t)random64();
    }
    *size = length;
    return copy;
}

/* Parameters of n symbols, mostly legal ones. */
static int32_t *mixture_parameters(const calo_mixture *m, size_t n, int damaged) {
    const size_t each = m->components * n;
    int32_t *p = allocate(12 * each);
    const int wild = below(8) == 0;
    for (size_t i = 0; i < each; i++) {
        p[i] = wild ? (int32_t)random64() : (int32_t)below(64 * m->symbols);
        p[each + i] = (int32_t)below(CALO_SCALES);
        p[2 * each + i] = (int32_t)((1 + below(65535)) >> below(17));
    }
    for (size_t i = 0; i < n; i++) p[2 * each + i] |= 1;
    for (uint32_t k = damaged && n > 0 ? 1 + below(3) : 0; k > 0; k--)
        p[below((uint32_t)(3 * each))] = below(2) ? (int32_t)random64() : (int32_t)below(200) - 100;
    return p;
}

static int mixture_decode(const calo_mixture *m, const uint8_t *data, size_t size, const int32_t *parameters, size_t n,
                          int32_t *symbols) {
    calo_decoder decoder;
    if (calo_decoder_open(&decoder, data, size) != CALO_OK) return 0;
    for (size_t i = 0, run; i < n; i += run) {
        run = 1 + below((uint32_t)(n - i));
        const int status = calo_mixture_decode(&decoder, m, parameters + i, n, run, symbols + i);
        for (size_t k = i; status == CALO_OK && k < i + run; k++)
            if ((uint32_t)symbols[k] >= m->symbols) abort();
        if (status != CALO_OK && below(4)) return 0;
    }
    return calo_decoder_close(&decoder) == CALO_OK;
}

/* A logistic-like rise, with integers only; what exactly it is does not matter here. */
static void mixture_tables(int16_t *logistic, int32_t *step) {
    for (int i = 0; i < CALO_LOGISTIC; i++) {
        const int t = i - CALO_LOGISTIC / 2;
        logistic[i] = (int16_t)(32767 * t / (300 + (t < 0 ? -t : t)));
    }
    for (int i = 0; i < CALO_SCALES; i++) step[i] = (1 << 20 >> i / 8) - (i % 8 << 10 >> i / 8);
}

static void try_mixtures(unsigned long *intact, unsigned long *passed) {
    int16_t *logistic = allocate(2 * CALO_LOGISTIC);
    int32_t *step = allocate(4 * CALO_SCALES);
    mixture_tables(logistic, step);
    const calo_mixture m = {
        .symbols = 2 + below(below(2) ? 30 : CALO_MIXTURE_SYMBOLS - 1),
        .components = 1 + below(CALO_COMPONENTS),
        .step = step,
        .logistic = logistic,
    };
    const size_t n = below(below(16) ? 300 : 4000);
    const uint32_t lanes = below(2) ? CALO_LANES : 1;
    int32_t *symbols = allocate(4 * n), *decoded = allocate(4 * n), *parameters = mixture_parameters(&m, n, 0);
    for (size_t i = 0; i < n; i++) symbols[i] = (int32_t)below(m.symbols);
    uint32_t *places = allocate(4 * n), states[CALO_LANES];
    if (calo_mixture_places(&m, symbols, parameters, n, n, places) != CALO_OK) abort();
    for (int k = 0; k < CALO_LANES; k++) states[k] = CALO_STATE_MIN;
    uint8_t *words = allocate(2 * n);
    const size_t position =
        n > 0 ? calo_mixture_encode(places, n, lanes, (uint32_t)(n - 1) % lanes, states, words, 2 * n) : 0;
    const size_t size = n > 0 ? 1 + 4 * lanes + 2 * n - position : 0;
    uint8_t *stream = allocate(size);
    if (n > 0) {
        stream[0] = lanes == CALO_LANES;
        for (uint32_t k = 0; k < lanes; k++)
            for (int byte = 0; byte < 4; byte++) stream[1 + 4 * k + byte] = (uint8_t)(states[k] >> 8 * byte);
        memcpy(stream + 1 + 4 * lanes, words + position, 2 * n - position);
    }
    if (!mixture_decode(&m, stream, size, parameters, n, decoded) || memcmp(symbols, decoded, 4 * n) != 0) {
        fprintf(stderr, "an intact stream of mixtures did not decode\n");
        abort();
    }
    ++*intact;
    for (int k = 0; k < 6; k++) {
        size_t length = size;
        uint8_t *copy = damage(stream, &length);
        int32_t *other = mixture_parameters(&m, n, 1);
        *passed += (unsigned long)mixture_decode(&m, copy, length, below(2) ? parameters : other, n, decoded);
        if (n > 0 && below(4) == 0) symbols[below((uint32_t)n)] = (int32_t)random64();
        (void)calo_mixture_places(&m, symbols, other, n, n, places);
        free(copy), free(other);
    }
    free(symbols), free(decoded), free(parameters), free(places), free(words), free(stream), free(logistic), free(step);
}

/* --- adaptive tables ---------------------------------------------------------------------------------------------- */

static float random_float(float most) { return most * (float)below(1 << 20) / (1 << 20); }

static float *random_floats(size_t n, float least, float most) {
    float *x = allocate(4 * n);
    for (size_t i = 0; i < n; i++) x[i] = least + random_float(most - least);
    return x;
}

static void *zeros(size_t size) { return memset(allocate(size), 0, size); }

static void field_start(calo_field *f) {
    const size_t planes = (size_t)f->channels * f->plane;
    f->slope = random_floats(f->channels * CALO_SLOPES, -2, 2), f->slope_evidence = zeros(4 * f->channels * CALO_SLOPES);
    f->common = random_floats(2 * CALO_FEATURES, -1, 2), f->common_evidence = zeros(4 * 2 * CALO_FEATURES);
    f->sign_weight = random_floats(f->channels * CALO_SIGNS, -1, 1);
    f->sign_evidence = random_floats(f->channels * CALO_SIGNS, 1, 30);
    f->known = zeros(4 * planes * f->places), f->cells = zeros(4 * planes), f->lean = zeros(planes * f->places);
    f->site_level = zeros(4 * f->places * f->plane), f->site_mean = zeros(4 * f->places * f->plane);
}

static void field_end(calo_field *f) {
    free(f->slope), free(f->slope_evidence), free(f->common), free(f->common_evidence);
    free(f->sign_weight), free(f->sign_evidence), free(f->known), free(f->cells), free(f->lean);
    free(f->site_level), free(f->site_mean);
}

/* Tables of levels, two per index, and of signs. */
static void field_tables(tables *t, uint32_t levels) {
    const uint32_t count = levels + CALO_SIGN_TABLES;
    t->lengths = allocate(4 * count), t->minimums = zeros(4 * count), t->size = 0;
    for (uint32_t k = 0; k < count; k++) {
        t->lengths[k] = k < levels ? (int32_t)(1 + below(200)) : 2;
        t->size += (size_t)t->lengths[k] + 1;
    }
    t->frequencies = allocate(2 * t->size);
    for (size_t k = 0, at = 0; k < count; at += (size_t)t->lengths[k++] + 1)
        fill(t->frequencies + at, (uint32_t)t->lengths[k] + 1);
    const size_t entries = t->size + (size_t)count * CALO_GUARDS;
    t->set = (calo_tables){
        .tables = count,
        .width = CALO_WIDE,
        .table = allocate(count * sizeof(calo_table)),
        .shift = allocate(count * 4),
        .entry = allocate(entries * sizeof(calo_entry)),
        .symbol = allocate(entries * sizeof(calo_symbol)),
        .bucket = allocate((size_t)count * 4 << (CALO_PRECISION - CALO_WIDE)),
    };
    if (calo_tables_build(&t->set, t->frequencies, t->size, t->lengths, t->minimums) != CALO_OK) abort();
}

static int field_decode(calo_field *f, uint64_t seed, const calo_part *parts, size_t count, const uint8_t *data, size_t size,
                        const int32_t *index, int32_t *symbols) {
    const uint64_t before = state;
    state = seed;
    field_start(f);
    state = before;
    calo_decoder decoder;
    int good = calo_decoder_open(&decoder, data, size) == CALO_OK;
    good = good && calo_field_decode(f, parts, count, &decoder, index, symbols) == CALO_OK;
    field_end(f);
    return good && calo_decoder_close(&decoder) == CALO_OK;
}

static void try_fields(unsigned long *intact, unsigned long *passed) {
    tables t;
    const uint32_t indices = 1 + below(20), channels = 1 + below(5), side = 1 + below(2);
    const uint32_t rows = 1 + below(5), columns = 1 + below(20), stride = (columns + 7) / 8 * 8 + 2 * CALO_REACH;
    field_tables(&t, 2 * indices);
    const float size_of = below(8) ? 3 : 1e30f;
    const size_t lists = (size_t)channels * CALO_LISTS * CALO_FRIENDS, signs = (size_t)channels * CALO_SIGNS;
    float *expected = random_floats(indices, 0, size_of), *weights = random_floats(lists, 0, 2);
    float *gradient = random_floats(2 * indices * CALO_LEVELS, -2, 2), *fisher = random_floats(2 * indices, 0, 2);
    int16_t *friends = allocate(2 * lists);
    calo_neighbour *near = allocate(sizeof *near * signs);
    uint8_t *known = allocate(channels);
    for (size_t i = 0; i < lists; i++) friends[i] = (int16_t)below(channels), weights[i] *= below(8) > 0;
    for (size_t i = 0; i < signs; i++)
        near[i] = (calo_neighbour){(int16_t)((int)below(channels) - (int)(i / CALO_SIGNS)), (int8_t)((int)below(5) - 2),
                                   (int8_t)((int)below(5) - 2)};
    for (uint32_t c = 0; c < channels; c++) known[c] = (uint8_t)below(2);
    calo_field f = {
        .tables = &t.set, .level_tables = 2 * indices, .indices = indices,
        .expected = expected, .gradient = gradient, .fisher = fisher, .quiet = random_float(0.5f),
        .rates = {6, 2, 4, 1, 0.99f, 0.985f, below(2) ? 10 : 0, 40},
        .channels = channels, .side = side, .places = side * side, .rows = rows, .columns = columns,
        .stride = stride, .plane = (size_t)(rows + 2 * CALO_REACH) * stride + below(20),
        .friend = friends, .friend_weight = weights, .sign = near, .sign_known = known,
    };
    const calo_part parts[2] = {{0, channels, below(side), below(side)}, {below(channels), 1, 0, 0}};
    const size_t count = 1 + below(2), n = (size_t)rows * columns * (channels + count - 1);
    int32_t *index = allocate(4 * n), *symbols = allocate(4 * n), *decoded = allocate(4 * n);
    float *values = random_floats(n, -40, 40), *worth = random_floats(n, 0, 1), *bits = random_floats(t.size + t.set.tables, 0, 20);
    for (size_t i = 0; i < n; i++) {
        index[i] = (int32_t)below(indices);
        symbols[i] = below(50) ? (int32_t)below(9) - 4 : (int32_t)((int64_t)below(UINT32_MAX) - INT32_MAX);
    }
    uint32_t *places = allocate(8 * n);
    uint8_t *escapes = allocate(5 * n);
    size_t placed, escaped;
    const uint64_t seed = random64() | 1, before = state;
    state = seed;
    field_start(&f);
    state = before;
    const calo_targets targets = {values, worth, bits, 30};
    if (calo_field_encode(&f, parts, count, below(2) ? &targets : NULL, symbols, index, places, &placed, escapes, &escaped))
        abort();
    field_end(&f);
    const uint32_t lanes = below(2) ? CALO_LANES : 1;
    uint32_t states[CALO_LANES];
    for (int k = 0; k < CALO_LANES; k++) states[k] = CALO_STATE_MIN;
    uint8_t *words = allocate(2 * placed), *stream = allocate(6 + escaped + 4 * CALO_LANES + 2 * placed);
    const size_t position = calo_encode(&t.set, places, placed, lanes, (uint32_t)(placed - 1) % lanes, states, words, 2 * placed);
    size_t size = 0;
    stream[size++] = (uint8_t)((lanes == CALO_LANES) | (escaped > 0) << 1);
    if (escaped > 0) {
        size += put_varint(stream + size, escaped);
        memcpy(stream + size, escapes, escaped);
        size += escaped;
    }
    for (uint32_t k = 0; k < lanes; k++)
        for (int byte = 0; byte < 4; byte++) stream[size++] = (uint8_t)(states[k] >> 8 * byte);
    memcpy(stream + size, words + position, 2 * placed - position);
    size += 2 * placed - position;
    if (!field_decode(&f, seed, parts, count, stream, size, index, decoded) || memcmp(symbols, decoded, 4 * n) != 0) {
        fprintf(stderr, "an intact stream of adaptive tables did not decode\n");
        abort();
    }
    ++*intact;
    for (int k = 0; k < 6; k++) {
        size_t length = size;
        uint8_t *copy = damage(stream, &length);
        if (below(8) == 0) index[below((uint32_t)n)] = (int32_t)random64();
        *passed += (unsigned long)field_decode(&f, seed, parts, count, copy, length, index, decoded);
        free(copy);
    }
    free(expected), free(weights), free(gradient), free(fisher), free(friends), free(near), free(known);
    free(index), free(symbols), free(decoded), free(values), free(worth), free(bits);
    free(places), free(escapes), free(words), free(stream);
    tables_free(&t);
}

static void try_once(unsigned long *intact, unsigned long *passed) {
    tables t;
    const int damaged_tables = below(8) == 0;
    if (tables_make(&t, damaged_tables) != CALO_OK) {
        if (!damaged_tables) abort();
        tables_free(&t);
        return;
    }
    const size_t n = below(below(16) ? 600 : 12000);
    int32_t *index = allocate(4 * n), *symbols = allocate(4 * n), *decoded = allocate(4 * n);
    const uint32_t escape_rate = below(3) ? 1000 : 2;
    for (size_t i = 0; i < n; i++) {
        index[i] = (int32_t)below(t.set.tables);
        const calo_table *table = t.set.table + index[i];
        symbols[i] = below(escape_rate) ? (int32_t)((uint32_t)table->minimum + below(table->count))
                                        : (int32_t)((int64_t)random64() >> (32 + below(32)));
    }
    size_t size;
    uint8_t *stream = encode(&t, symbols, index, n, below(2) ? CALO_LANES : 1, &size);
    if (!decode(&t, stream, size, index, n, decoded) || memcmp(symbols, decoded, 4 * n) != 0) {
        fprintf(stderr, "an intact stream did not decode\n");
        abort();
    }
    ++*intact;
    for (int k = 0; k < 8; k++) {
        size_t length = size;
        uint8_t *copy = damage(stream, &length);
        if (n > 0 && below(8) == 0) index[below((uint32_t)n)] = below(2) ? (int32_t)random64() : (int32_t)t.set.tables;
        *passed += (unsigned long)decode(&t, copy, length, index, n, decoded);
        free(copy);
    }
    (void)calo_crc32c(0, stream, size);
    free(stream), free(index), free(symbols), free(decoded);
    tables_free(&t);
}

static void try_bits(unsigned long *intact, unsigned long *passed) {
    const size_t bits = 1 + below(below(4) ? 8 : CALO_BITS), height = below(7), width = below(7), n = height * width * bits;
    const size_t weights = bits * (CALO_BIT_PLACES * bits + CALO_BIT_CONSTANTS);
    int16_t *start = allocate(2 * weights), *used = allocate(2 * weights);
    int8_t *layers[4];
    const int16_t reach = (int16_t)(1 << below(16));
    for (size_t k = 0; k < weights; k++) start[k] = (int16_t)((int16_t)random64() % (reach ? reach : 1));
    for (int l = 0; l < 4; l++) {
        layers[l] = allocate(n);
        for (size_t k = 0; k < n; k++) layers[l][k] = below(4) ? 1 : -1;
    }
    const int known = (int)below(3);
    const calo_bits model = {height, width, bits, used, below(1025), known ? layers[0] : NULL, known > 1 ? layers[1] : NULL};
    uint8_t *out = allocate(8 * n + 8);
    memcpy(used, start, 2 * weights);
    const int64_t size = calo_bits_encode(&model, layers[2], out, 8 * n + 8);
    if (size < 0 || (size_t)size > 8 * n + 8) abort();
    for (int k = 0; k < 8; k++) {
        size_t length = (size_t)size;
        uint8_t *copy = k ? damage(out, &length) : allocate(length);
        if (!k) memcpy(copy, out, length);
        memcpy(used, start, 2 * weights), memset(layers[3], 0, n);
        const int good = calo_bits_decode(&model, layers[3], copy, length) == CALO_OK;
        if (k) *passed += (unsigned long)good;
        else if (!good || memcmp(layers[2], layers[3], n) != 0) {
            fprintf(stderr, "an intact layer of bits did not decode\n");
            abort();
        }
        free(copy);
    }
    ++*intact;
    calo_bits_learn(&model, layers[2]);
    for (int l = 0; l < 4; l++) free(layers[l]);
    free(start), free(used), free(out);
}

int main(int argc, char **argv) {
    const unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    const double seconds = argc > 2 ? atof(argv[2]) : 0;
    state = (argc > 3 ? strtoull(argv[3], NULL, 10) : 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    calo_crc32c_prepare();
    unsigned long intact = 0, passed = 0;
    const time_t begin = time(NULL);
    for (unsigned long round = 0; round < rounds || difftime(time(NULL), begin) < seconds; round++) {
        try_once(&intact, &passed);
        try_mixtures(&intact, &passed);
        try_fields(&intact, &passed);
        try_bits(&intact, &passed);
    }
    printf("%lu intact streams, 6 to 8 damaged ones of each, %lu of which passed; bytes %016llx\n", intact, passed, (unsigned long long)digest);
    return 0;
}
