#ifdef __x86_64__
#pragma GCC target("avx2,fma")
#define LANES 8
#define NAMED(x) x##_avx2
#include "passes.h"
#endif
