#define RENDER fit_render_plain
#include "render.h"
