/* What the decoders of tables and of mixtures share. */
#ifndef CALOTYPE_RANS_H
#define CALOTYPE_RANS_H

#include "calotype.h"

CALO_INLINE uint32_t load16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }

/* Takes a word in where the state is below 2^16, without a branch; the word is read in any case. Compilers turn the plain
   way of saying it into a branch that half of all symbols mispredict, hence the assembly and the shift. */
CALO_INLINE uint32_t refill(uint32_t x, const uint8_t **words) {
#ifdef CALO_X86_64
    const uint8_t *next = *words + 2;
    const uint32_t filled = x << 16 | load16(*words);
    __asm__("cmpl $65536, %0\n\tcmovb %2, %0\n\tcmovb %3, %1"
            : "+r"(x), "+r"(*words)
            : "r"(filled), "r"(next)
            : "cc");
    return x;
#else
    const uint32_t low = x < CALO_STATE_MIN;
    const uint64_t filled = (uint64_t)x << 16 | load16(*words);
    *words += 2 * low;
    return (uint32_t)(filled >> (16 - 16 * low));
#endif
}

#endif
