"""Tells cffi how to compile the native kernel; run by setup.py, never imported by the package."""

from pathlib import Path

from cffi import FFI

HERE = Path("src/calotype/coding/kernel")  # setuptools wants sources relative to setup.py

DECLARATIONS = """
    typedef struct { uint32_t start; uint32_t count; int32_t minimum; } calo_table;
    typedef struct { uint64_t reciprocal; uint32_t limit; uint16_t start; uint16_t complement; } calo_symbol;
    typedef struct { uint16_t start; uint16_t frequency; } calo_entry;
    typedef struct {
        uint32_t tables;
        uint32_t width;
        calo_table *table;
        uint32_t *shift;
        calo_entry *entry;
        calo_symbol *symbol;
        uint32_t *bucket;
    } calo_tables;
    typedef struct { ...; } calo_decoder;
    typedef struct {
        uint32_t symbols;
        uint32_t components;
        const int32_t *step;
        const int16_t *logistic;
    } calo_mixture;
    #define CALO_MIXTURE_SYMBOLS ...
    #define CALO_COMPONENTS ...
    #define CALO_SCALES ...
    #define CALO_LOGISTIC ...
    #define CALO_GUARDS ...
    #define CALO_NARROW ...
    #define CALO_WIDE ...
    #define CALO_LANES ...
    enum calo_status { CALO_OK, CALO_CORRUPT, CALO_BAD_INDEX, CALO_DESYNC, CALO_BAD_TABLE, ... };

    int calo_tables_build(calo_tables *set, const uint16_t *frequencies, size_t size, const int32_t *lengths,
                          const int32_t *minimums);
    int64_t calo_places(const calo_tables *set, const int32_t *symbols, const int32_t *index, size_t n,
                        uint32_t *places, uint8_t *escapes, size_t capacity, size_t *escaped);
    size_t calo_encode(const calo_tables *set, const uint32_t *places, size_t n, uint32_t lanes,
                       uint32_t lane, uint32_t *states, uint8_t *words, size_t position);
    int calo_decoder_open(calo_decoder *decoder, const uint8_t *data, size_t size);
    int calo_decode(calo_decoder *decoder, const calo_tables *set, const int32_t *index, size_t n,
                    int32_t *symbols);
    int calo_decoder_close(const calo_decoder *decoder);
    int calo_mixture_places(const calo_mixture *mixture, const int32_t *symbols, const int32_t *parameters,
                            size_t stride, size_t n, uint32_t *places);
    size_t calo_mixture_encode(const uint32_t *places, size_t n, uint32_t lanes, uint32_t lane, uint32_t *states,
                               uint8_t *words, size_t position);
    int calo_mixture_decode(calo_decoder *decoder, const calo_mixture *mixture, const int32_t *parameters,
                            size_t stride, size_t n, int32_t *symbols);
    typedef struct { int16_t channels; int8_t rows; int8_t columns; } calo_neighbour;
    typedef struct {
        float bias; float slope; float common; float sign;
        float keep; float common_keep;
        float prior; float common_prior;
    } calo_rates;
    typedef struct {
        const calo_tables *tables;
        uint32_t level_tables;
        uint32_t indices;
        const float *expected;
        const float *gradient;
        const float *fisher;
        float quiet;
        calo_rates rates;
        uint32_t channels;
        uint32_t side;
        uint32_t places;
        uint32_t rows;
        uint32_t columns;
        size_t stride;
        size_t plane;
        const int16_t *friend;
        const float *friend_weight;
        const calo_neighbour *sign;
        const uint8_t *sign_known;
        float *slope;
        float *slope_evidence;
        float *common;
        float *common_evidence;
        float *sign_weight;
        float *sign_evidence;
        uint32_t *known;
        uint32_t *cells;
        int8_t *lean;
        float *site_level;
        float *site_mean;
    } calo_field;
    typedef struct { uint32_t channel; uint32_t channels; uint32_t row; uint32_t column; } calo_part;
    typedef struct { const float *values; const float *worth; const float *bits; int32_t most; } calo_targets;
    #define CALO_LISTS ...
    #define CALO_FRIENDS ...
    #define CALO_FEATURES ...
    #define CALO_SLOPES ...
    #define CALO_SIGNS ...
    #define CALO_SIGN_TABLES ...
    #define CALO_LEVELS ...
    #define CALO_COLUMNS ...
    #define CALO_REACH ...
    int calo_field_encode(calo_field *field, const calo_part *parts, size_t count, const calo_targets *targets,
                          int32_t *symbols, const int32_t *index, uint32_t *places, size_t *placed, uint8_t *escapes,
                          size_t *escaped);
    int calo_field_decode(calo_field *field, const calo_part *parts, size_t count, calo_decoder *decoder,
                          const int32_t *index, int32_t *symbols);
    void calo_field_portable(int yes);
    void calo_show(const float *plane, size_t height, size_t width, size_t top, size_t left, size_t rows,
                   size_t columns, const float *taps, uint8_t *out, size_t step);
    #define CALO_BITS ...
    #define CALO_BIT_PLACES ...
    #define CALO_BIT_CONSTANTS ...
    typedef struct {
        size_t height; size_t width; size_t bits;
        int16_t *weights;
        uint32_t rate;
        const int8_t *before; const int8_t *earlier;
    } calo_bits;
    int64_t calo_bits_encode(const calo_bits *model, int8_t *layer, uint8_t *out, size_t room);
    int calo_bits_decode(const calo_bits *model, int8_t *layer, const uint8_t *data, size_t size);
    void calo_bits_learn(const calo_bits *model, int8_t *layer);
    void calo_crc32c_prepare(void);
    uint32_t calo_crc32c(uint32_t crc, const uint8_t *data, size_t size);
    uint32_t calo_crc32c_portable(uint32_t crc, const uint8_t *data, size_t size);
"""

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "calotype.coding._kernel",
    '#include "calotype.h"',
    sources=[path.as_posix() for path in sorted(HERE.glob("*.c"))],
    depends=[path.as_posix() for path in sorted(HERE.glob("*.h"))],
    include_dirs=[HERE.as_posix()],
    # No -march: one wheel for every processor; wider instructions are chosen at run time.
    extra_compile_args=["-O3", "-std=c11", "-ffp-contract=off", "-Wno-psabi"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
