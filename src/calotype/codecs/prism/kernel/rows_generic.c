#define CODE_ROWS prism_code_generic
#include "rows.h"
