/* Bits that are coded one after the other, each by a logistic regression over those known around it that goes on learning. */
#include "calotype.h"

#include <string.h>

#include "coder.h"
#include "numbers.h"

enum {
    HERE, LEFT, ABOVE, ABOVE_LEFT, ABOVE_RIGHT, /* of this layer */
    BEFORE, BEFORE_RIGHT, BEFORE_BELOW,         /* of the one before */
    EARLIER,                                    /* and of the one before that */
    PLACES,
};

_Static_assert((int)PLACES == (int)CALO_BIT_PLACES, "as the header says");

typedef const int8_t *place;

/* What is known around (y, x): PLACES times the bits of a place, then a constant. */
static void look(const calo_bits *m, const int8_t *layer, size_t y, size_t x, int16_t *inputs) {
    const size_t bits = m->bits, row = m->width * bits, at = y * row + x * bits;
    const int left = x > 0, right = x + 1 < m->width, above = y > 0, below = y + 1 < m->height;
    const place known[PLACES] = {
        [LEFT] = left ? layer + at - bits : NULL,
        [ABOVE] = above ? layer + at - row : NULL,
        [ABOVE_LEFT] = above && left ? layer + at - row - bits : NULL,
        [ABOVE_RIGHT] = above && right ? layer + at - row + bits : NULL,
        [BEFORE] = m->before ? m->before + at : NULL,
        [BEFORE_RIGHT] = m->before && right ? m->before + at + bits : NULL,
        [BEFORE_BELOW] = m->before && below ? m->before + at + row : NULL,
        [EARLIER] = m->earlier ? m->earlier + at : NULL,
    };
    for (int p = 0; p < PLACES; p++, inputs += bits)
        for (size_t k = 0; k < bits; k++) inputs[k] = known[p] ? known[p][k] : 0;
    for (int k = 0; k < CALO_BIT_CONSTANTS; k++) inputs[k] = 1;
}

static int32_t weigh(const int16_t *weights, const int16_t *inputs, size_t count) {
    int32_t sum = 0;
    for (size_t k = 0; k < count; k++) sum += (int32_t)weights[k] * inputs[k];
    return sum;
}

static void learn(int16_t *weights, const int16_t *inputs, size_t count, int16_t step) {
    for (size_t k = 0; k < count; k++) weights[k] = (int16_t)(weights[k] + step * inputs[k]);
}

/* Whether a stream that is decoded is too short. */
static int ended(const bit_coder *coder) { return coder->beyond > 4; }

/* Codes a layer [height][width][bits] of -1 and 1; without a coder the model only learns from it. */
static void code(const calo_bits *m, int8_t *layer, bit_coder *coder) {
    int16_t inputs[CALO_BIT_PLACES * CALO_BITS + CALO_BIT_CONSTANTS];
    const size_t bits = m->bits, count = PLACES * bits + CALO_BIT_CONSTANTS;
    const float_mode mode = begin_standard_floats();
    for (size_t y = 0; y < m->height && !(coder && ended(coder)); y++)
        for (size_t x = 0; x < m->width; x++) {
            int8_t *here = layer + (y * m->width + x) * bits;
            look(m, layer, y, x, inputs);
            for (size_t k = 0; k < bits; k++) {
                int16_t *weights = m->weights + k * count;
                const float odds = (float)weigh(weights, inputs, count) * (1.0f / CALO_BIT_UNIT);
                const int32_t chance = (int32_t)within(logistic(odds) * 65536.0f, 32.0f, 65504.0f);
                const int bit = coder ? code_bit(coder, (uint32_t)chance, here[k] > 0) : here[k] > 0;
                here[k] = bit ? 1 : -1;
                const int32_t error = bit * 65536 - chance;
                learn(weights, inputs, count, (int16_t)((error * (int32_t)m->rate + (1 << 13)) >> 14));
                inputs[k] = here[k];
            }
        }
    end_standard_floats(&mode);
}

int64_t calo_bits_encode(const calo_bits *model, int8_t *layer, uint8_t *out, size_t room) {
    bit_coder coder;
    coder_open(&coder, NULL, 0);
    code(model, layer, &coder);
    coder_flush(&coder);
    int64_t size = coder.no_memory ? -1 : (int64_t)coder.size;
    if (size >= 0 && coder.size <= room && coder.size) memcpy(out, coder.out, coder.size);
    free(coder.out);
    return size;
}

int calo_bits_decode(const calo_bits *model, int8_t *layer, const uint8_t *data, size_t size) {
    bit_coder coder;
    coder_open(&coder, size ? data : (const uint8_t *)"", size); /* NULL would be an encoder's */
    code(model, layer, &coder);
    return ended(&coder) || coder.in < coder.end ? CALO_CORRUPT : CALO_OK;
}

void calo_bits_learn(const calo_bits *model, int8_t *layer) { code(model, layer, NULL); }
