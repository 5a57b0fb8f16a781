/* The serial loop of the lossless codec `prism`: one plane of samples, coded row by row. See docs/explain/lossless.md. */
#ifndef PRISM_H
#define PRISM_H

#include <stddef.h>
#include <stdint.h>

enum prism_status { PRISM_OK = 0, PRISM_CORRUPT = -1, PRISM_NO_MEMORY = -2 };

typedef struct prism_plane prism_plane;

/* A plane of width x height samples of `depth` bits in [low, high], of which `references` (0 to 2) others of the same
   picture are known when it is coded. `samples` (height * width) is read when encoding and written when decoding, for
   which `stream` is given. NULL where there is no memory. */
prism_plane *prism_open(int width, int height, int depth, int low, int high, int references, int effort,
                        uint16_t *samples, const uint8_t *stream, size_t size);

/* Codes rows up to `end`; of the references, rows up to `end` + PRISM_AHEAD must be done before, or all. */
int prism_code(prism_plane *plane, const prism_plane *first, const prism_plane *second, int end);

/* Ends the stream and gives its bytes, which belong to the plane. */
const uint8_t *prism_finish(prism_plane *plane, size_t *size);

void prism_close(prism_plane *plane);

enum { PRISM_AHEAD = 2, PRISM_EFFORTS = 9 };

#endif
