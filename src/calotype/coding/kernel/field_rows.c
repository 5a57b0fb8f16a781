#define ARITHMETIC calo_arithmetic_plain
#include "field_rows.h"
