/* All loops, for one instruction set: who includes this sets LANES and NAMED(x). */
#include "context.h"
#include "latents.h"
#include "synthesis.h"

void NAMED(fitter_run)(fitter *f, job *j, float *scratch) {
    context *c = (context *)scratch;
    synthesis s;
    synthesis_lay(f, &s, (float *)(c + 1));
    j->bits = j->error = 0;
    if (f->settings.only_loss && j->kind > ROWS) return;
    switch (j->kind) {
    case ROUND: round_rows(f, j); break;
    case CHAIN: chain_forward(f, j, &s.up); break;
    case FEATURE: feature_forward(f, j); break;
    case ROWS:
        context_rows(f, j, c);
        if (j->grid == 0) synthesis_rows(f, j, &s);
        break;
    case CHAIN_BACK: chain_backward(f, j, &s.up); break;
    case FEATURE_BACK: feature_backward(f, j); break;
    case UPDATE: update_rows(f, j); break;
    }
}
