#define EXPERTS 8
#define CODE_ROWS prism_code_8
#include "rows.h"
