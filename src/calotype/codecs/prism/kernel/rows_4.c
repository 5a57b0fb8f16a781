#define EXPERTS 4
#define CODE_ROWS prism_code_4
#include "rows.h"
