/* CRC-32C (Castagnoli): slice by 8, and the instruction of SSE4.2 where the processor has it. */
#include "calotype.h"
#include "processor.h"

#ifdef CALO_X86_64
#include <nmmintrin.h>
#include <string.h>
#endif

static uint32_t slices[8][256];
#ifdef CALO_X86_64
static int hardware;
#endif

/* Runs once, at import; writing the same values again would be harmless. */
void calo_crc32c_prepare(void) {
    for (uint32_t k = 0; k < 256; k++) {
        uint32_t crc = k;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
        slices[0][k] = crc;
    }
    for (int s = 1; s < 8; s++)
        for (uint32_t k = 0; k < 256; k++)
            slices[s][k] = slices[s - 1][k] >> 8 ^ slices[0][slices[s - 1][k] & 0xff];
#ifdef CALO_X86_64
    hardware = calo_processor() & CALO_SSE42;
#endif
}

static uint32_t crc_portable(uint32_t crc, const uint8_t *p, size_t size) {
    for (; size >= 8; size -= 8, p += 8) {
        crc ^= p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = slices[7][crc & 0xff] ^ slices[6][crc >> 8 & 0xff] ^ slices[5][crc >> 16 & 0xff] ^
              slices[4][crc >> 24] ^ slices[3][p[4]] ^ slices[2][p[5]] ^ slices[1][p[6]] ^ slices[0][p[7]];
    }
    for (; size > 0; size--) crc = crc >> 8 ^ slices[0][(crc ^ *p++) & 0xff];
    return crc;
}

#ifdef CALO_X86_64
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p, size_t size) {
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--) crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

uint32_t calo_crc32c(uint32_t crc, const uint8_t *data, size_t size) {
#ifdef CALO_X86_64
    if (hardware) return ~crc_sse42(~crc, data, size);
#endif
    return ~crc_portable(~crc, data, size);
}

/* For tests: the portable way wherever they run. */
uint32_t calo_crc32c_portable(uint32_t crc, const uint8_t *data, size_t size) {
    return ~crc_portable(~crc, data, size);
}
