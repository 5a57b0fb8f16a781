#ifdef __x86_64__
#define FIT_AVX2
#define CODE_GRIDS fit_code_grids_avx2
#include "grids.h"
#endif
