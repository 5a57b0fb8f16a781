/* Random networks and latents round trip, plain and by wider instructions alike; damaged streams decode to something or are
   refused; numbers that might overflow are refused.

   Usage: fuzz rounds seconds seed; it goes on until both are over. */
#include "decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;

static uint32_t draw(void) { /* xorshift64* (Vigna 2016) */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)(state * 0x2545F4914F6CDD1Dull >> 32);
}

static int below(int limit) { return (int)(draw() % (unsigned)limit); }

static void *room(size_t size) {
    void *memory = calloc(size, 1);
    if (!memory) exit(3);
    return memory;
}

int main(int count, char **arguments) {
    const unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 1;
    const double seconds = count > 2 ? atof(arguments[2]) : 0;
    state = (count > 3 ? strtoull(arguments[3], NULL, 10) : 1) * 0x9E3779B97F4A7C15ull | 1;
    const time_t start = time(NULL);
    unsigned long intact = 0, damaged = 0, refused = 0, overflows = 0;
    for (unsigned long round = 0; round < rounds || difftime(time(NULL), start) < seconds; round++) {
        const fit_shape s = {1 + below(50), 1 + below(50), draw() % 2 ? 3 : 1, 4 + below(6), 1 + below(14), 1 + below(8),
                             1 + below(64), 1 + below(16), below(13), below(25), below(25), below(25)};
        const size_t n = fit_number_count(&s), latent_count = fit_latent_count(&s);
        const size_t samples = (size_t)s.height * (size_t)s.width * (size_t)s.channels;
        int32_t *numbers = room(n * sizeof *numbers);
        int16_t *latents = room(latent_count * sizeof *latents), *back = room(latent_count * sizeof *back);
        uint16_t *pixels = room(samples * sizeof *pixels), *plain = room(samples * sizeof *plain);
        const int bits = 4 + below(draw() % 4 ? 9 : 29); /* of a number: from small ones to any */
        for (size_t i = 0; i < n; i++) numbers[i] = (int32_t)draw() >> (32 - bits);
        if (draw() % 2) /* as extreme as is allowed, here and there */
            for (int k = below(4); k > 0; k--) numbers[draw() % n] = draw() % 2 ? 32767 : -31000;
        if (fit_check(&s, numbers)) {
            overflows++;
        } else {
            const int spread = draw() % 3 ? 4 : 2 * FIT_LATENT_MAX + 1;
            for (size_t i = 0; i < latent_count; i++) latents[i] = (int16_t)(below(spread) - spread / 2);
            uint32_t number = draw() & 0x1fff, number_back = 0;
            int32_t values[3] = {below(65535) - 32767, below(9) - 4, 0}, values_back[3] = {0};
            const int scale = below(97);
            fit_coder *coder = fit_open(NULL, 0, 0), *counter = fit_open(NULL, 0, 1);
            if (!coder || !counter) return 3;
            fit_code_bits(coder, &number, 1, 13), fit_code_bits(counter, &number, 1, 13);
            fit_code_values(coder, values, 3, scale, 32767), fit_code_values(counter, values, 3, scale, 32767);
            memcpy(back, latents, latent_count * sizeof *back);
            if (fit_code_latents(coder, &s, numbers, back) || memcmp(back, latents, latent_count * sizeof *back)) return 4;
            if (fit_code_latents(counter, &s, numbers, back)) return 4;
            size_t size, left;
            const uint8_t *stream = fit_finish(coder, &size);
            if (!stream && size) return 4;
            const double miss = fit_bits(counter) - 8.0 * (double)size;
            if (miss > 8 || miss < -48 - 0.001 * fit_bits(counter)) return 5;
            uint8_t *copy = room(size + 1); /* exactly as long, so that reading on is noticed */
            memcpy(copy, size ? stream : copy, size);
            const int damage = draw() % 2;
            size_t given = size;
            if (damage) {
                for (int hits = below(5); hits-- > 0 && size;) copy[draw() % size] ^= (uint8_t)(1 + draw() % 255);
                given = draw() % 3 ? size : draw() % (size + 1);
            }
            fit_portable(draw() % 2);
            fit_coder *decoder = fit_open(copy, given, 0);
            if (!decoder) return 3;
            memset(back, 0, latent_count * sizeof *back);
            fit_code_bits(decoder, &number_back, 1, 13);
            fit_code_values(decoder, values_back, 3, scale, 32767);
            const int status = fit_code_latents(decoder, &s, numbers, back);
            if (!damage) {
                if (status || memcmp(back, latents, latent_count * sizeof *back)) return 6;
                if (number_back != number || memcmp(values_back, values, sizeof values)) return 6;
                if (!fit_finish(decoder, &left) || left) return 6;
                intact++;
            } else if (status) {
                refused++;
            } else {
                damaged++;
            }
            for (size_t i = 0; i < latent_count; i++)
                if (abs(back[i]) > FIT_LATENT_MAX) return 7;
            fit_portable(0);
            if (fit_render(&s, numbers, back, pixels)) return 3;
            fit_portable(1);
            if (fit_render(&s, numbers, back, plain) || memcmp(pixels, plain, samples * sizeof *pixels)) return 8;
            fit_portable(0);
            for (size_t i = 0; i < samples; i++)
                if (pixels[i] >> s.depth) return 9;
            fit_close(decoder), fit_close(coder), fit_close(counter), free(copy);
        }
        free(numbers), free(latents), free(back), free(pixels), free(plain);
    }
    printf("%lu intact streams, %lu damaged ones decoded, %lu refused, %lu networks that might overflow\n", intact, damaged,
           refused, overflows);
    return intact == 0 || overflows == 0;
}
