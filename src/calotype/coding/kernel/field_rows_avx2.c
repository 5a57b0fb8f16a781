#ifdef __x86_64__
#pragma GCC target("avx2")
#define ARITHMETIC calo_arithmetic_avx2
#include "field_rows.h"
#endif
