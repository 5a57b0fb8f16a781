/* Binary arithmetic coding with 16-bit probabilities and a 32-bit interval. */
#ifndef CALOTYPE_CODER_H
#define CALOTYPE_CODER_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint32_t low, high; /* the interval, both ends included */
    uint32_t code;      /* decoding: the stream's next 32 bits */
    const uint8_t *in;  /* decoding: what is left of the stream; NULL when encoding */
    const uint8_t *end;
    size_t beyond;      /* decoding: bytes asked for behind the end */
    uint8_t *out;       /* encoding */
    size_t size, room;
    int no_memory;
} bit_coder;

static inline uint8_t coder_next(bit_coder *c) {
    if (c->in < c->end) return *c->in++;
    c->beyond++;
    return 0;
}

static inline void coder_put(bit_coder *c, uint8_t byte) {
    if (c->size == c->room) {
        const size_t room = c->room ? 2 * c->room : 4096;
        uint8_t *out = realloc(c->out, room);
        if (!out) {
            c->no_memory = 1;
            return;
        }
        c->out = out;
        c->room = room;
    }
    c->out[c->size++] = byte;
}

static inline void coder_open(bit_coder *c, const uint8_t *stream, size_t size) {
    *c = (bit_coder){.high = 0xffffffffu, .in = stream, .end = stream ? stream + size : NULL};
    if (stream)
        for (int k = 0; k < 4; k++) c->code = c->code << 8 | coder_next(c);
}

/* Codes a decision that is 1 with probability chance / 2^16, 0 < chance < 2^16; `bit` is ignored when decoding. */
static inline int code_bit(bit_coder *c, uint32_t chance, int bit) {
    const uint32_t middle = c->low + (uint32_t)((uint64_t)(c->high - c->low) * chance >> 16);
    if (c->in) bit = c->code <= middle;
    if (bit)
        c->high = middle;
    else
        c->low = middle + 1;
    while (((c->low ^ c->high) & 0xff000000u) == 0) {
        if (c->in)
            c->code = c->code << 8 | coder_next(c);
        else
            coder_put(c, (uint8_t)(c->high >> 24));
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
    return bit;
}

/* As few bytes as name a number in the interval, whatever follows them being zeros. */
static inline void coder_flush(bit_coder *c) {
    for (int bytes = 0; bytes <= 4; bytes++) {
        const uint64_t step = (uint64_t)1 << (32 - 8 * bytes);
        const uint64_t number = (c->low + step - 1) / step * step;
        if (number > c->high) continue;
        for (int k = 0; k < bytes; k++) coder_put(c, (uint8_t)(number >> (24 - 8 * k)));
        return;
    }
}

#endif
