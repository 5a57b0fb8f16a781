/* A lane per expert. */
#ifndef PRISM_LANES_H
#define PRISM_LANES_H

#include "plane.h"

#define LANES EXPERTS
#include "vectors.h"

enum { FILTERS = EXPERTS - 2, BLEND = EXPERTS - 1 };

/* As `quarter_octaves`. */
static inline masks lanes_quarter_octaves(lanes x) { return ((masks)x >> 21) - (127 << 2); }

#endif
