#ifdef __x86_64__
#pragma GCC target("avx2")
#define EXPERTS 4
#define CODE_ROWS prism_code_4_avx2
#include "rows.h"
#endif
