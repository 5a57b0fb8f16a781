#ifdef __x86_64__
#pragma GCC target("avx2")
#define EXPERTS 8
#define CODE_ROWS prism_code_8_avx2
#include "rows.h"
#endif
