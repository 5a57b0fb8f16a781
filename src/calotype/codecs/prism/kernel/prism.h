/* The serial loops of the codec `prism`: one plane of samples, coded row by row. docs/explain/lossless.md and
   docs/explain/near-lossless.md say how and why. C11 with the vector extension of GCC and Clang; no Python, no global state but a switch for tests. */
#ifndef PRISM_H
#define PRISM_H

#include <stddef.h>
#include <stdint.h>

enum {
    PRISM_OK = 0,
    PRISM_CORRUPT = -1,   /* the stream ended too early */
    PRISM_NO_MEMORY = -2,
};

enum {
    PRISM_EFFORTS = 9,
    PRISM_AHEAD = 2,      /* rows of its references that a plane looks ahead */
};

typedef struct prism_plane prism_plane;

/* A plane of width x height samples in [low, high], which are numbers of `depth` bits, 8 to 16; `references` (0 to 2)
   other planes of the same size, depth and effort are known when it is coded. `samples` [height][width] is read when
   encoding, and what a decoder will find, at most `bound` (0 to 65535) off, takes the place of each; when decoding, for
   which `stream` is given, it is written. Both stay the caller's. With `grid` what is found are multiples of 2 bound + 1,
   or low or high. NULL: no memory. */
prism_plane *prism_open(int width, int height, int depth, int low, int high, int references, int effort, int bound,
                        int grid, uint16_t *samples, const uint8_t *stream, size_t size);

/* Codes rows up to `end`. References must be done up to `end` + PRISM_AHEAD, or wholly. */
int prism_code(prism_plane *plane, const prism_plane *first, const prism_plane *second, int end);

/* When all rows are coded. Encoding: ends the stream and returns its bytes, which belong to the plane; NULL if memory ran
   out. Decoding: `*size` is how many bytes of the stream were not needed. */
const uint8_t *prism_finish(prism_plane *plane, size_t *size);

void prism_close(prism_plane *plane);

/* For tests: the loops without wider instructions, chosen for all planes coded from now on. */
void prism_portable(int yes);

#endif
