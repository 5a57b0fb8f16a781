#ifdef __x86_64__
#define FIT_AVX2
#define RENDER fit_render_avx2
#include "render.h"
#endif
