#include "processor.h"

#ifdef CALO_X86_64
#include "begin_avx2.h"
#define EXPERTS 8
#define CODE_ROWS prism_code_8_avx2
#include "rows.h"
#include "end_avx2.h"
#endif
