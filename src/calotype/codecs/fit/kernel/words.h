/* Blocks of 16 words (int16) and 8 sums (int32), for AVX2 or plain; both give the same integers. */
#ifndef FIT_WORDS_H
#define FIT_WORDS_H

#include <stdint.h>
#include <string.h>

#if defined(FIT_AVX2)
#include <immintrin.h>
#define FIT_TARGET __attribute__((target("avx2")))
#define FIT_INLINE static inline __attribute__((always_inline, target("avx2")))

typedef __m256i words;
typedef __m256i sums;

FIT_INLINE words load_words(const int16_t *x) { return _mm256_loadu_si256((const __m256i *)x); }
FIT_INLINE void store_words(int16_t *x, words v) { _mm256_storeu_si256((__m256i *)x, v); }
FIT_INLINE sums load_sums(const int32_t *x) { return _mm256_loadu_si256((const __m256i *)x); }
FIT_INLINE void store_sums(int32_t *x, sums v) { _mm256_storeu_si256((__m256i *)x, v); }
FIT_INLINE sums all_sums(int32_t x) { return _mm256_set1_epi32(x); }
FIT_INLINE sums add_sums(sums a, sums b) { return _mm256_add_epi32(a, b); }

/* 8 times the pair of words in x. */
FIT_INLINE words all_pairs(int32_t x) { return _mm256_set1_epi32(x); }

/* Words of a and b in turns: two blocks, of which `narrow` makes one in the order of a and b again. */
FIT_INLINE words turns_low(words a, words b) { return _mm256_unpacklo_epi16(a, b); }
FIT_INLINE words turns_high(words a, words b) { return _mm256_unpackhi_epi16(a, b); }

/* Adds the products of words, two by two. */
FIT_INLINE sums dot(sums sum, words a, words b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }

/* 16 sums shifted down as words; what does not fit becomes the nearest that does. */
FIT_INLINE words narrow(sums low, sums high, int shift) {
    const __m128i by = _mm_cvtsi32_si128(shift);
    return _mm256_packs_epi32(_mm256_sra_epi32(low, by), _mm256_sra_epi32(high, by));
}

/* Where `narrow` puts sum k of 0 .. 15. */
static inline int narrow_place(int k) { return (k & 3) | (k & 4) << 1 | (k & 8) >> 1; }

FIT_INLINE words positive(words v) { return _mm256_max_epi16(v, _mm256_setzero_si256()); }
FIT_INLINE words add_words(words a, words b) { return _mm256_adds_epi16(a, b); }

/* a0 b0 a1 b1 ... a15 b15. */
FIT_INLINE void store_in_turns(int16_t *x, words a, words b) {
    const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
    store_words(x, _mm256_permute2x128_si256(low, high, 0x20));
    store_words(x + 16, _mm256_permute2x128_si256(low, high, 0x31));
}

/* The sum of 8 sums, modulo 2^32, of each of two blocks. */
FIT_INLINE void two_totals(sums a, sums b, int32_t *total_a, int32_t *total_b) {
    const __m256i both = _mm256_hadd_epi32(a, b);
    const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    const __m128i total = _mm_add_epi32(half, _mm_srli_epi64(half, 32));
    *total_a = _mm_cvtsi128_si32(total);
    *total_b = _mm_extract_epi32(total, 2);
}

#else
#define FIT_TARGET
#define FIT_INLINE static __attribute__((unused)) /* to inline all is too much for sanitisers */

typedef struct {
    int16_t at[16];
} words;
typedef struct {
    int32_t at[8];
} sums;

#define EACH(count) for (int k = 0; k < (count); k++)

static inline int16_t as_word(int32_t x) { return (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x); }

FIT_INLINE words load_words(const int16_t *x) {
    words v;
    memcpy(&v, x, sizeof v);
    return v;
}
FIT_INLINE void store_words(int16_t *x, words v) { memcpy(x, &v, sizeof v); }
FIT_INLINE sums load_sums(const int32_t *x) {
    sums v;
    memcpy(&v, x, sizeof v);
    return v;
}
FIT_INLINE void store_sums(int32_t *x, sums v) { memcpy(x, &v, sizeof v); }
FIT_INLINE sums all_sums(int32_t x) {
    sums v;
    EACH(8) v.at[k] = x;
    return v;
}
FIT_INLINE sums add_sums(sums a, sums b) {
    EACH(8) a.at[k] += b.at[k];
    return a;
}
FIT_INLINE words all_pairs(int32_t x) {
    int16_t pair[2];
    words v;
    memcpy(pair, &x, sizeof pair);
    EACH(16) v.at[k] = pair[k & 1];
    return v;
}
FIT_INLINE words turns_low(words a, words b) {
    words v;
    EACH(8) v.at[2 * k] = a.at[k], v.at[2 * k + 1] = b.at[k];
    return v;
}
FIT_INLINE words turns_high(words a, words b) {
    words v;
    EACH(8) v.at[2 * k] = a.at[8 + k], v.at[2 * k + 1] = b.at[8 + k];
    return v;
}
FIT_INLINE sums dot(sums sum, words a, words b) {
    EACH(8) sum.at[k] += a.at[2 * k] * b.at[2 * k] + a.at[2 * k + 1] * b.at[2 * k + 1];
    return sum;
}
FIT_INLINE words narrow(sums low, sums high, int shift) {
    words v;
    EACH(8) v.at[k] = as_word(low.at[k] >> shift), v.at[8 + k] = as_word(high.at[k] >> shift);
    return v;
}
static inline int narrow_place(int k) { return k; }
FIT_INLINE words positive(words v) {
    EACH(16) v.at[k] = v.at[k] > 0 ? v.at[k] : 0;
    return v;
}
FIT_INLINE words add_words(words a, words b) {
    EACH(16) a.at[k] = as_word(a.at[k] + b.at[k]);
    return a;
}
FIT_INLINE void store_in_turns(int16_t *x, words a, words b) {
    EACH(16) x[2 * k] = a.at[k], x[2 * k + 1] = b.at[k];
}
FIT_INLINE void two_totals(sums a, sums b, int32_t *total_a, int32_t *total_b) {
    *total_a = *total_b = 0;
    EACH(8) *total_a += a.at[k], *total_b += b.at[k];
}
#endif

/* Two words as one pair. */
static inline int32_t pair_of(int first, int second) {
    return (int32_t)((uint32_t)(uint16_t)first | (uint32_t)(uint16_t)second << 16);
}

#endif
