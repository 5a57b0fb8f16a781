/* The last doubling, the synthesis and the squared error, forward and backward, a few rows at a time: each stage follows
   the one before by a row, so that only RING rows of anything are kept. */
#ifndef FIT_SYNTHESIS_H
#define FIT_SYNTHESIS_H

#include "latents.h"
#include "upsampling.h"

/* --- layers of single pixels --------------------------------------------------------------------------------------- */

/* Rows that the layers of one row of pixels read and write. */
typedef struct {
    const float *u[GRIDS + WIDE], *hu[HIDDEN + GRIDS + WIDE], *h[HIDDEN], *d[HIDDEN + CHANNELS];
} pixel_rows;

static void list_pixels(const fitter *f, const synthesis *s, int row, pixel_rows *p) {
    const int at = row % RING, k = f->grids, h = f->hidden;
    for (int i = 0; i < h; i++) p->hu[i] = p->h[i] = s->h[at][i];
    for (int i = 0; i < k; i++) p->u[i] = p->hu[h + i] = s->u[at][i];
    for (int i = 0; i < WIDE; i++) p->u[k + i] = p->hu[h + k + i] = s->ones;
    for (int i = 0; i < h; i++) p->d[i] = s->dh[i];
    for (int c = 0; c < f->channels; c++) p->d[h + c] = s->dv[c];
}

static void pixels_forward(fitter *f, synthesis *s, int row) {
    const packed *w = &f->packed;
    const int at = row % RING, k = f->grids, h = f->hidden;
    for (int j = 1; j < k; j++)
        up_row(&f->up[j][1], row, f->parameters + f->places.taps, s->up.middle, s->u[at][k - 1 - j]);
    memcpy(s->u[at][k - 1], row_of(&f->grid[0].rounded, row), (size_t)f->width * sizeof(float));
    pixel_rows p;
    list_pixels(f, s, row, &p);
    for (int n = 0; n < f->width; n += PIECE) {
        const int end = n + PIECE < f->width ? n + PIECE : f->width;
        layer(w->hidden, w->hidden_bias, k, p.u, h, s->h[at], RELU, NULL, n, end);
        layer(w->output, w->output_bias, h + k, p.hu, f->channels, s->v[at], KEEP, NULL, n, end);
    }
    for (int c = 0; c < f->channels; c++) repeat_ends(s->v[at][c], f->width);
}

/* From s->dv, which is zero beyond the row's width. */
static void pixels_backward(fitter *f, synthesis *s, int row, int tells) {
    const packed *w = &f->packed;
    const int k = f->grids, h = f->hidden, c = f->channels;
    pixel_rows p;
    list_pixels(f, s, row, &p);
    for (int n = 0; n < f->width; n += PIECE) {
        const int end = n + PIECE < f->width ? n + PIECE : f->width;
        layer(w->hidden_back, NULL, c, p.d + h, h, s->dh, GATE, p.h, n, end);
        layer(w->input_back, NULL, h + c, p.d, k, s->du, KEEP, NULL, n, end);
        if (!tells) continue;
        layer_gradient(s->sums_output, c, p.d + h, h + k + 1, p.hu, n, end);
        layer_gradient(s->sums_hidden, h, p.d, k + 1, p.u, n, end);
    }
    for (int j = 1; j < k; j++)
        up_row_back(&f->up[j][1], &f->up_gradient[j][1], row, f->parameters + f->places.taps, s->du[k - 1 - j], &s->up,
                    s->sums_taps);
    float *dy = row_of(&f->grid[0].gradient, row);
    for (int n = 0; n < f->width; n++) dy[n] += s->du[k - 1][n];
}

/* --- 3x3 layers ---------------------------------------------------------------------------------------------------- */

static void clear_after(const fitter *f, float *row) {
    memset(row + f->width, 0, REACH_OVER * sizeof *row);
}

/* The shifted rows around `row`, edges repeated, in the order of R1 and R2; then ones. */
static void list_around(const fitter *f, const synthesis *s, ring from, int row, const float **x) {
    for (int c = 0; c < f->channels; c++)
        for (int r = row - 1; r <= row + 1; r++) {
            const int inside = r < 0 ? 0 : r < f->height ? r : f->height - 1;
            for (int shift = -1; shift <= 1; shift++) *x++ = from[inside % RING][c] + shift;
        }
    for (int i = 0; i < WIDE; i++) *x++ = s->ones;
}

static void residual_row(const fitter *f, synthesis *s, int row) {
    const int at = row % RING;
    const float *x[SHIFTED + WIDE];
    list_around(f, s, s->v, row, x);
    layer(f->packed.residual[0], f->packed.residual_bias[0], TAPS_3X3 * f->channels, x, f->channels, s->relu[at], RELU,
          NULL, 0, f->width);
    for (int c = 0; c < f->channels; c++) {
        for (int n = 0; n < f->width; n++) s->v1[at][c][n] = s->v[at][c][n] + s->relu[at][c][n];
        repeat_ends(s->v1[at][c], f->width);
    }
}

/* The difference from the picture, and from it the loss's slope; returns its weighted square. */
static double error_row(const fitter *f, synthesis *s, int row) {
    const int at = row % RING;
    const float *x[SHIFTED + WIDE];
    float **e = s->d_out[at];
    double error = 0;
    list_around(f, s, s->v1, row, x);
    layer(f->packed.residual[1], f->packed.residual_bias[1], TAPS_3X3 * f->channels, x, f->channels, e, KEEP, NULL, 0,
          f->width);
    for (int c = 0; c < f->channels; c++) {
        const float *picture = row_of(&f->picture[c], row), *weight = row_of(&f->weight, row);
        float *output = row_of(&f->output[c], row);
        const float slope = 2.0f / (float)f->channels;
        lanes sum = splat(0);
        float sums[LANES];
        clear_after(f, e[c]);
        for (int n = 0; n < f->width; n += LANES) {
            const lanes off = load(e[c] + n) - load(picture + n); /* both are zero beyond the width */
            store(output + n, load(e[c] + n));
            const lanes weighted = off * load(weight + n);
            sum += off * weighted;
            store(e[c] + n, weighted * slope);
        }
        store(sums, sum);
        for (int l = 0; l < LANES; l++) error += sums[l];
    }
    return error;
}

/* What the gradient `dy` of a 3x3 layer's output gives for its input in one row, which may lie one row outside. */
static void spread_row(const fitter *f, const synthesis *s, const float *weights, ring dy, int row, float **dx) {
    const float *x[SHIFTED], **next = x;
    for (int c = 0; c < f->channels; c++)
        for (int r = row + 1; r >= row - 1; r--)
            for (int shift = 1; shift >= -1; shift--)
                *next++ = r < 0 || r >= f->height ? s->zeros : dy[r % RING][c] + shift;
    layer(weights, NULL, TAPS_3X3 * f->channels, x, f->channels, dx, KEEP, NULL, 0, f->width);
    for (int tap = 0; tap < TAPS_3X3 * f->channels; tap++) { /* columns outside repeat those inside */
        const int side = tap % 3 - 1;
        if (!side) continue;
        const float outside = side < 0 ? x[tap][-1] : x[tap][f->width];
        for (int c = 0; c < f->channels; c++) dx[c][side < 0 ? 0 : f->width - 1] += weights[4 * tap + c] * outside;
    }
}

static void spread(const fitter *f, synthesis *s, const float *weights, ring dy, int row, float **dx) {
    const int outside[2] = {row == 0 ? -1 : row, row == f->height - 1 ? f->height : row};
    spread_row(f, s, weights, dy, row, dx);
    for (int side = 0; side < 2; side++) {
        if (outside[side] == row) continue;
        spread_row(f, s, weights, dy, outside[side], s->spare);
        for (int c = 0; c < f->channels; c++)
            for (int n = 0; n < f->width; n++) dx[c][n] += s->spare[c][n];
    }
    for (int c = 0; c < f->channels; c++) clear_after(f, dx[c]);
}

/* Slopes by v1, and by the first 3x3 layer before its relu. */
static void residual_backward(const fitter *f, synthesis *s, int row) {
    const int at = row % RING;
    spread(f, s, f->packed.residual_back[1], s->d_out, row, s->d_v1[at]);
    for (int c = 0; c < f->channels; c++)
        for (int n = 0; n < up_to(f->width, LANES); n += LANES)
            store(s->d_relu[at][c] + n,
                  choose(load(s->relu[at][c] + n) > 0, load(s->d_v1[at][c] + n), splat(0)));
}

static void residual_gradient(const fitter *f, synthesis *s, int z, ring from, ring dy, int row) {
    const float *x[SHIFTED + WIDE], *d[CHANNELS];
    list_around(f, s, from, row, x);
    for (int c = 0; c < f->channels; c++) d[c] = dy[row % RING][c];
    layer_gradient(s->sums_residual[z], f->channels, d, TAPS_3X3 * f->channels + 1, x, 0, f->width);
}

/* --- rows of the picture -------------------------------------------------------------------------------------------- */

static void synthesis_collect(const fitter *f, const synthesis *s, float by, float *gradient) {
    const places *at = &f->places;
    const int k = f->grids, h = f->hidden, c = f->channels, t = TAPS_3X3 * c;
    collect(s->sums_hidden, by, h, k + 1, 0, k, gradient + at->b1);
    collect(s->sums_hidden, by, h, k + 1, k, 1, gradient + at->c1);
    collect(s->sums_output, by, c, h + k + 1, 0, h, gradient + at->b2);
    collect(s->sums_output, by, c, h + k + 1, h, k, gradient + at->m);
    collect(s->sums_output, by, c, h + k + 1, h + k, 1, gradient + at->c2);
    collect(s->sums_residual[0], by, c, t + 1, 0, t, gradient + at->r1);
    collect(s->sums_residual[0], by, c, t + 1, t, 1, gradient + at->bias_r1);
    collect(s->sums_residual[1], by, c, t + 1, 0, t, gradient + at->r2);
    collect(s->sums_residual[1], by, c, t + 1, t, 1, gradient + at->bias_r2);
    for (int i = 0; i < 4; i++) gradient[at->taps + i] += total(s->sums_taps + i * LANES);
}

static void synthesis_rows(fitter *f, job *j, synthesis *s) {
    memset(s->sums_hidden, 0, s->sums * sizeof(float));
    for (int n = -LEFT; n < up_to(f->width, WIDE * WIDEST); n++) s->ones[n] = 1;
    const int first = j->first, last = j->last;
    for (int r = first - 4; r < last + 4; r++) {
        /* `margin` rows beside the job's own, inside the picture */
#define WITHIN(row, margin) ((row) >= 0 && (row) < f->height && (row) >= first - (margin) && (row) < last + (margin))
#define TELLS(row) (((unsigned)(row) + f->settings.seed) % (unsigned)f->settings.stride == 0)
        if (WITHIN(r, 4)) pixels_forward(f, s, r);
        if (WITHIN(r - 1, 3)) residual_row(f, s, r - 1);
        if (WITHIN(r - 2, 2)) {
            const double error = error_row(f, s, r - 2);
            if (WITHIN(r - 2, 0)) j->error += error;
        }
        if (f->settings.only_loss) continue;
        if (WITHIN(r - 3, 1)) residual_backward(f, s, r - 3);
        if (WITHIN(r - 4, 0)) {
            spread(f, s, f->packed.residual_back[0], s->d_relu, r - 4, s->dv);
            for (int c = 0; c < f->channels; c++) add_row(s->dv[c], s->d_v1[(r - 4) % RING][c], 1, f->width);
            pixels_backward(f, s, r - 4, TELLS(r - 4));
        }
        if (WITHIN(r - 2, 0) && TELLS(r - 2)) residual_gradient(f, s, 1, s->v1, s->d_out, r - 2);
        if (WITHIN(r - 3, 0) && TELLS(r - 3)) residual_gradient(f, s, 0, s->v, s->d_relu, r - 3);
#undef WITHIN
#undef TELLS
    }
    synthesis_collect(f, s, (float)f->settings.stride, j->gradient);
}

#endif
