/* The native kernel's interface. Portable C11: no Python, no allocation, no global state but the CRC's table and a switch for tests.
   Every function checks what it reads; the caller guarantees only the sizes of its own buffers. */
#ifndef CALOTYPE_H
#define CALOTYPE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define CALO_RARE(x) __builtin_expect(!!(x), 0)
#define CALO_INLINE static inline __attribute__((always_inline))
#define CALO_NOINLINE static __attribute__((noinline))
#else
#define CALO_RARE(x) (x)
#define CALO_INLINE static inline
#define CALO_NOINLINE static
#endif

enum {
    CALO_PRECISION = 14,                      /* a table's frequencies sum to 2^14 */
    CALO_TOTAL = 1 << CALO_PRECISION,
    CALO_LANES = 8,
    CALO_GUARDS = 1,                          /* entries after each table that stop the decoder's search */
    CALO_NARROW = 5,                          /* log2 of the slots in a bucket: of few tables, */
    CALO_WIDE = 8,                            /* and of many */
};
#define CALO_STATE_MIN 0x10000u               /* states live in [2^16, 2^32) and start here */

enum calo_status {
    CALO_OK = 0,
    CALO_CORRUPT = -1,                        /* truncated or malformed bytes */
    CALO_BAD_INDEX = -2,                      /* a table number outside the set */
    CALO_DESYNC = -3,                         /* the stream did not end where its encoder began */
    CALO_BAD_TABLE = -4,                      /* frequencies that are no table */
};

/* One table of a set: symbols minimum .. minimum + count - 1, then the escape. Its entries start at `start`. */
typedef struct {
    uint32_t start;
    uint32_t count;
    int32_t minimum;
} calo_table;

/* What the encoder needs of a symbol. */
typedef struct {
    uint64_t reciprocal;                      /* ceil(2^46 / frequency) */
    uint32_t limit;                           /* frequency * 2^18, where a word must leave; 0 in guards */
    uint16_t start;                           /* sum of the frequencies before */
    uint16_t complement;                      /* 2^14 - frequency */
} calo_symbol;

/* What the decoder needs of a symbol. */
typedef struct {
    uint16_t start;                           /* sum of the frequencies before; 2^16 - 1 in guards */
    uint16_t frequency;                       /* 0 for escapes */
} calo_entry;

/* A set of tables with what is derived from them; the arrays belong to the caller. */
typedef struct {
    uint32_t tables;
    uint32_t width;                           /* CALO_NARROW or CALO_WIDE */
    calo_table *table;                        /* [tables] */
    uint32_t *shift;                          /* [tables] symbol = entry number + shift modulo 2^32 */
    calo_entry *entry;                        /* [entries] */
    calo_symbol *symbol;                      /* [entries] */
    uint32_t *bucket;                         /* [tables << (14 - width)] */
} calo_tables;

/* Fills the arrays of `set` from frequencies: per table `lengths[t]` symbols, then the escape. The caller has set
   `tables`, `width` and the arrays, of `entries` = size + tables * CALO_GUARDS where they go by entries. */
int calo_tables_build(calo_tables *set, const uint16_t *frequencies, size_t size, const int32_t *lengths,
                      const int32_t *minimums);

/* Finds the entries of `n` symbols. Stops early where the escape buffer has no room for one more; returns how many
   symbols were taken, or CALO_BAD_INDEX. `*escaped` counts the bytes written. */
int64_t calo_places(const calo_tables *set, const int32_t *symbols, const int32_t *index, size_t n,
                    uint32_t *places, uint8_t *escapes, size_t capacity, size_t *escaped);

/* Pushes `n` entries, last first, the last of which has lane `lane`; words grow downwards from `words + position`, which
   must leave 2 * n bytes. Returns the new position. */
size_t calo_encode(const calo_tables *set, const uint32_t *places, size_t n, uint32_t lanes, uint32_t lane,
                   uint32_t *states, uint8_t *words, size_t position);

typedef struct {
    const uint8_t *data;
    size_t size;
    size_t position;                          /* of the next word */
    size_t escape, escape_end;                /* of the next escape, and behind the last */
    uint32_t lanes;
    uint32_t lane;                            /* of the next symbol */
    uint32_t corrupt;                         /* an escape was malformed */
    uint32_t states[CALO_LANES];
} calo_decoder;

int calo_decoder_open(calo_decoder *decoder, const uint8_t *data, size_t size);
int calo_decode(calo_decoder *decoder, const calo_tables *set, const int32_t *index, size_t n, int32_t *symbols);
int calo_decoder_close(const calo_decoder *decoder);

enum {
    CALO_MIXTURE_SYMBOLS = 1024,              /* largest alphabet of a mixture, */
    CALO_COMPONENTS = 10,                     /* number of its logistics, */
    CALO_SCALES = 96,                         /* and of their scales */
    CALO_LOGISTIC = 8192,                     /* entries of the logistic function's table */
};

/* Mixtures of logistics over the symbols 0 .. symbols - 1; docs/reference/mixtures.md has the formulas. The parameters of
   symbol i are, component after component, its locations p[k * stride + i] in 1/64 of a symbol, its scales
   p[(components + k) * stride + i] below CALO_SCALES, and its weights p[(2 * components + k) * stride + i] of 0 .. 65535,
   not all zero. */
typedef struct {
    uint32_t symbols;                         /* 2 .. CALO_MIXTURE_SYMBOLS */
    uint32_t components;                      /* 1 .. CALO_COMPONENTS */
    const int32_t *step;                      /* [CALO_SCALES] 2^17 / scale, at most 2^20 */
    const int16_t *logistic;                  /* [CALO_LOGISTIC] rising; 2^16 times the function less 2^15 */
} calo_mixture;

/* Finds start and frequency of `n` symbols: start | frequency << 16, of 2^16. Returns CALO_BAD_INDEX where a symbol or a
   parameter is out of range. */
int calo_mixture_places(const calo_mixture *mixture, const int32_t *symbols, const int32_t *parameters, size_t stride,
                        size_t n, uint32_t *places);

/* As `calo_encode` and `calo_decode`. */
size_t calo_mixture_encode(const uint32_t *places, size_t n, uint32_t lanes, uint32_t lane, uint32_t *states,
                           uint8_t *words, size_t position);
int calo_mixture_decode(calo_decoder *decoder, const calo_mixture *mixture, const int32_t *parameters, size_t stride,
                        size_t n, int32_t *symbols);

enum {
    CALO_LISTS = 2,                           /* of channels whose levels go with a channel's: there, and in the cell */
    CALO_FRIENDS = 12,                        /* most channels in a list */
    CALO_FEATURES = 4,                        /* the channel's own cells, both lists, all channels at the position */
    CALO_SLOPES = 8,                          /* floats per channel: one per feature, the bias, padding */
    CALO_SIGNS = 24,                          /* neighbours that tell a sign */
    CALO_SIGN_TABLES = 33,
    CALO_LEVELS = 64,                         /* levels that the gradient tells apart */
    CALO_LEVEL_MAX = 4096,                    /* what a larger level counts as to others */
    CALO_COLUMNS = 512,                       /* most cells side by side */
    CALO_REACH = 2,                           /* rows and columns to the farthest neighbour */
};

/* Channels, rows and columns to a neighbour; the latter within CALO_REACH. */
typedef struct {
    int16_t channels;
    int8_t rows, columns;
} calo_neighbour;

/* How fast an adaptive model learns; docs/reference/adaptive.md. */
typedef struct {
    float bias, slope, common, sign;          /* steps */
    float keep, common_keep;                  /* what is left of the evidence after a row */
    float prior, common_prior;
} calo_rates;

/* Symbols of `channels` planes in cells of side x side places, coded with tables that what is known around them corrects.
   The arrays belong to the caller. A plane has `plane` entries: rows + 2 CALO_REACH lines of `stride`, which is columns,
   rounded up to a multiple of 8, + 2 CALO_REACH; what lies around the cells stays zero. All planes begin as zero. */
typedef struct {
    const calo_tables *tables;                /* `level_tables` for levels, two per index; CALO_SIGN_TABLES for signs */
    uint32_t level_tables;
    uint32_t indices;                         /* table numbers that a network may name */
    const float *expected;                    /* [indices] mean level */
    const float *gradient;                    /* [level_tables][CALO_LEVELS] of ln p by the index */
    const float *fisher;                      /* [level_tables] its mean square */
    float quiet;                              /* rows that expect less everywhere are coded as they are */
    calo_rates rates;
    uint32_t channels, side, places, rows, columns;
    size_t stride, plane;
    const int16_t *friend;                    /* [channels][CALO_LISTS][CALO_FRIENDS] channels */
    const float *friend_weight;               /* the same; 0 ends a list */
    const calo_neighbour *sign;               /* [channels][CALO_SIGNS] */
    const uint8_t *sign_known;                /* [channels] whether they tell anything */
    float *slope, *slope_evidence;            /* [channels][CALO_SLOPES] */
    float *common, *common_evidence;          /* [2][CALO_FEATURES] for low and high indices */
    float *sign_weight, *sign_evidence;       /* [channels][CALO_SIGNS] */
    uint32_t *known;                          /* [channels][places][plane] upper halves of two floats: level, expected */
    uint32_t *cells;                          /* [channels][plane] the same, summed over the cell */
    int8_t *lean;                             /* [channels][places][plane] what a symbol says to the signs of others */
    float *site_level, *site_mean;            /* [places][plane] the same as `known`, summed over channels */
} calo_field;

/* Consecutive channels at one place of the cells. */
typedef struct {
    uint32_t channel, channels;
    uint32_t row, column;
} calo_part;

/* Real values that an encoder may round as it likes. */
typedef struct {
    const float *values;                      /* as the symbols */
    const float *worth;                       /* likewise, the squared error that a bit is worth */
    const float *bits;                        /* [entries of the tables] */
    int32_t most;                             /* largest symbol */
} calo_targets;

/* Codes parts, joined along channels: symbols and index are [channels of all parts][rows][columns]. Encoding writes at most
   two places per symbol, and 5 bytes of escapes; with targets it chooses the symbols first. Decoding fills `symbols`.
   Either returns CALO_BAD_INDEX for a table number that is none. */
int calo_field_encode(calo_field *field, const calo_part *parts, size_t count, const calo_targets *targets,
                      int32_t *symbols, const int32_t *index, uint32_t *places, size_t *placed, uint8_t *escapes,
                      size_t *escaped);
int calo_field_decode(calo_field *field, const calo_part *parts, size_t count, calo_decoder *decoder,
                      const int32_t *index, int32_t *symbols);

/* For tests: the arithmetic without wider instructions, chosen from now on. */
void calo_field_portable(int yes);

enum { CALO_TAPS = 12, CALO_TAP_REACH = 2 };

/* rows x columns samples from (top, left) on of a plane [height][width], 1.0 becoming 255, rounded to bytes `step` apart. With
   taps (else NULL) they are filtered first; beyond the plane its border goes on. */
void calo_show(const float *plane, size_t height, size_t width, size_t top, size_t left, size_t rows, size_t columns,
               const float *taps, uint8_t *out, size_t step);

enum {
    CALO_BITS = 64,        /* of a place, at most */
    CALO_BIT_PLACES = 9,   /* that a bit is predicted from */
    CALO_BIT_CONSTANTS = 1,
    CALO_BIT_UNIT = 4096,  /* of weights */
};

/* Predicts the bits of a layer [height][width][bits], each -1 or 1 (0: unknown), from those around and from the two
   layers before it (NULL: there is none). `weights` [bits][places * bits + constants] change with every bit, by `rate` /
   1024 of its error. */
typedef struct {
    size_t height, width, bits;
    int16_t *weights;
    uint32_t rate;
    const int8_t *before, *earlier;
} calo_bits;

/* Size of the stream, written to `out` if there is `room`; or -1 where there is no memory. */
int64_t calo_bits_encode(const calo_bits *model, int8_t *layer, uint8_t *out, size_t room);
/* CALO_OK or CALO_CORRUPT. */
int calo_bits_decode(const calo_bits *model, int8_t *layer, const uint8_t *data, size_t size);
/* As both change `weights`. */
void calo_bits_learn(const calo_bits *model, int8_t *layer);

/* Castagnoli CRC, continued from `crc` (0 to begin). */
void calo_crc32c_prepare(void);
uint32_t calo_crc32c(uint32_t crc, const uint8_t *data, size_t size);
uint32_t calo_crc32c_portable(uint32_t crc, const uint8_t *data, size_t size);

#endif
