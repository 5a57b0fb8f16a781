/* All functions up to end_avx2.h are compiled for AVX2, in the way of the compiler at hand. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
