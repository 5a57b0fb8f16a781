#define CODE_GRIDS fit_code_grids
#include "grids.h"
