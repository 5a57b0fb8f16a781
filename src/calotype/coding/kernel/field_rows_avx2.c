#include "processor.h"

#ifdef CALO_X86_64
#include "begin_avx2.h"
#define ARITHMETIC calo_arithmetic_avx2
#include "field_rows.h"
#include "end_avx2.h"
#endif
