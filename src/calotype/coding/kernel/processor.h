/* What the processor at hand has, asked at run time, so that one build fits all; CALO_PORTABLE leaves it unused. */
#ifndef CALOTYPE_PROCESSOR_H
#define CALOTYPE_PROCESSOR_H

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__) && !defined(CALO_PORTABLE)
#define CALO_X86_64 1

#include <cpuid.h>

enum { CALO_KNOWN = 1, CALO_SSE42 = 2, CALO_AVX2 = 4 };

/* Not __builtin_cpu_supports, which on Windows needs a library that nobody links. Another thread finds the same. */
static inline int calo_processor(void) {
    static int found = 0;
    if (found) return found;
    unsigned a, b, c = 0, d, b7 = 0, low = 0, high;
    int has = CALO_KNOWN;
    if (__get_cpuid(1, &a, &b, &c, &d) && c & bit_SSE4_2) has |= CALO_SSE42;
    if (c & bit_OSXSAVE) __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));     /* what the system saves of registers */
    if ((low & 6) == 6 && __get_cpuid_count(7, 0, &a, &b7, &c, &d) && b7 & bit_AVX2) has |= CALO_AVX2;
    return found = has;
}
#endif

#endif
