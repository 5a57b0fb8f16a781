/* Adaptive coding of latents, a channel at a time: what its loops share. docs/reference/adaptive.md has the formulas.

   Row by row of a channel, the levels (magnitudes of symbols) are coded with tables that their surroundings correct. Its
   signs follow when all of its levels are known. */
#ifndef CALOTYPE_FIELD_H
#define CALOTYPE_FIELD_H

#include "calotype.h"

/* A channel at one place of the cells: the numbers of first entries. */
typedef struct {
    uint32_t channel;
    size_t start;                             /* in planes of every place */
    size_t cell, site;                        /* in planes of cells, and in those that are summed over channels */
    int friends[CALO_LISTS];
    const uint32_t *friend[CALO_LISTS][CALO_FRIENDS]; /* first entries */
    float weight[CALO_LISTS][CALO_FRIENDS];
    ptrdiff_t sign[CALO_SIGNS];               /* entries to neighbours */
} calo_channel;

/* Gradients and their squares of a channel by the common slopes, summed in lanes. */
typedef struct {
    float gradient[2][CALO_FEATURES][8], fisher[2][CALO_FEATURES][8];
} calo_sums;

/* A row in work, padded to whole vectors; what is padding has no weight. */
typedef struct {
    int quiet;                                /* nothing is to come: static tables, and nothing is learned */
    float feature[CALO_FEATURES][CALO_COLUMNS];
    float high[CALO_COLUMNS];                 /* share of the common slopes for large table numbers */
    float expected[CALO_COLUMNS];
    int32_t table[CALO_COLUMNS];
    int32_t level[CALO_COLUMNS];
} calo_work;

/* A symbol that is not zero: what tells its sign, and the logit of its being positive. */
typedef struct {
    float inputs[CALO_SIGNS];
    float logit;
} calo_sign;

/* The arithmetic, compiled for an instruction set. `predict` fills the work of row i but for the levels; `learn` follows
   when they are known, `learn_common` at the end of a channel; likewise for the sign of the symbol at an entry. */
typedef struct {
    void (*predict)(const calo_field *, const calo_channel *, uint32_t i, const int32_t *index, calo_work *);
    void (*learn)(calo_field *, const calo_channel *, uint32_t i, const calo_work *, calo_sums *);
    void (*learn_common)(calo_field *, const calo_sums *);
    void (*predict_sign)(const calo_field *, const calo_channel *, size_t entry, calo_sign *);
    void (*learn_sign)(calo_field *, const calo_channel *, const calo_sign *, int positive);
} calo_arithmetic;

extern const calo_arithmetic calo_arithmetic_plain, calo_arithmetic_avx2;

#endif
