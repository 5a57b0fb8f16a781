#define LANES 4
#define NAMED(x) x##_portable
#include "passes.h"
