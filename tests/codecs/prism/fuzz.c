/* Random planes round trip, exactly or within their bounds, and damaged or random streams decode to something or are refused, within their buffers.

   Usage: fuzz rounds seconds seed; it goes on until both are over. */
#include "prism.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state;

static uint32_t draw(void) { /* xorshift64* (Vigna 2016) */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)(state * 0x2545F4914F6CDD1Dull >> 32);
}

enum { PLANES = 3 };

typedef struct {
    int width, height, depth, low, high, effort, bound, grid;
} shape;

static prism_plane *open_plane(const shape *s, int number, uint16_t *samples, const uint8_t *stream, size_t size) {
    prism_plane *p = prism_open(s->width, s->height, s->depth, s->low, s->high, number, s->effort, s->bound, s->grid,
                                samples, stream, size);
    if (!p) exit(3);
    return p;
}

static int code(prism_plane **planes, int number, int height) {
    int status = PRISM_OK;
    for (int end = 0; end < height && !status;) {
        end += 1 + (int)(draw() % 20);
        status = prism_code(planes[number], number ? planes[number - 1] : NULL, number > 1 ? planes[number - 2] : NULL, end);
    }
    return status;
}

static uint16_t *new_samples(const shape *s) {
    uint16_t *samples = malloc((size_t)s->width * (size_t)s->height * sizeof *samples);
    if (!samples) exit(3);
    return samples;
}

int main(int count, char **arguments) {
    const unsigned long rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 1;
    const double seconds = count > 2 ? atof(arguments[2]) : 0;
    state = (count > 3 ? strtoull(arguments[3], NULL, 10) : 1) * 0x9E3779B97F4A7C15ull | 1;
    const time_t start = time(NULL);
    unsigned long intact = 0, damaged = 0, refused = 0;
    unsigned long long digest = 0xcbf29ce484222325ull; /* of all streams (FNV-1a), to compare machines by */
    for (unsigned long round = 0; round < rounds || difftime(time(NULL), start) < seconds; round++) {
        shape s = {1 + (int)(draw() % 40), 1 + (int)(draw() % 40), draw() % 3 ? 8 : 9 + (int)(draw() % 8), 0, 0,
                   1 + (int)(draw() % PRISM_EFFORTS), 0, 0};
        const int top = (1 << s.depth) - 1;
        if (draw() % 2) s.bound = 1 + (int)(draw() % (draw() % 4 ? 9 : (unsigned)top)), s.grid = draw() % 3 == 0;
        s.low = draw() % 2 ? 0 : (int)(draw() % (unsigned)(top + 1));
        s.high = draw() % 2 ? top : s.low + (int)(draw() % (unsigned)(top + 1 - s.low));
        const int smooth = draw() % 2;
        const size_t n = (size_t)s.width * (size_t)s.height;
        prism_plane *coded[PLANES], *decoded[PLANES];
        uint16_t *samples[PLANES], *back[PLANES], *original = new_samples(&s);
        for (int k = 0; k < PLANES; k++) {
            samples[k] = new_samples(&s), back[k] = new_samples(&s);
            for (size_t i = 0; i < n; i++) {
                int value = smooth ? (int)(i % (size_t)s.width) * 3 + k + (int)(draw() % 4) : (int)(draw() & 0xffff);
                samples[k][i] = (uint16_t)(s.low + value % (s.high - s.low + 1));
            }
            memcpy(original, samples[k], n * sizeof *original);
            coded[k] = open_plane(&s, k, samples[k], NULL, 0);
            if (code(coded, k, s.height)) return 4;
            for (size_t i = 0; i < n; i++)
                if (abs(samples[k][i] - original[i]) > s.bound) return 8;
            size_t size, left;
            const uint8_t *stream = prism_finish(coded[k], &size);
            uint8_t *copy = malloc(size + 1); /* exactly as long, so that reading on is noticed */
            if (!copy) return 3;
            memcpy(copy, size ? stream : copy, size);
            for (size_t i = 0; i < size; i++) digest = (digest ^ copy[i]) * 0x100000001b3ull;
            const int damage = draw() % 2;
            size_t given = size;
            if (damage) {
                for (int hits = (int)(draw() % 5); hits-- > 0 && size;) copy[draw() % size] ^= (uint8_t)(1 + draw() % 255);
                given = draw() % 3 ? size : draw() % (size + 1);
            }
            decoded[k] = open_plane(&s, k, back[k], copy, given);
            const int status = code(decoded, k, s.height);
            if (!damage) {
                if (status || memcmp(samples[k], back[k], n * sizeof **back)) return 5;
                prism_finish(decoded[k], &left);
                if (left) return 6;
                intact++;
            } else if (status) {
                refused++;
            } else {
                for (size_t i = 0; i < n; i++)
                    if (back[k][i] < s.low || back[k][i] > s.high) return 7;
                damaged++;
            }
            prism_close(decoded[k]); /* the next plane refers to what is right */
            free(copy);
            decoded[k] = coded[k];
        }
        free(original);
        for (int k = 0; k < PLANES; k++) prism_close(coded[k]), free(samples[k]), free(back[k]);
    }
    printf("%lu intact streams, %lu damaged ones decoded, %lu refused; bytes %016llx\n", intact, damaged, refused, digest);
    return intact == 0;
}
