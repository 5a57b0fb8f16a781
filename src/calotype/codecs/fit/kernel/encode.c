/* Memory, parameters, jobs and threads; the loops themselves are in passes.h. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "scratch.h"

static int widest = 2;

void fitter_widest(int level) { widest = level; }

/* --- memory ------------------------------------------------------------------------------------------------------ */

/* Lays a plane out at `base`, or only counts where that is NULL. */
static void lay_plane(plane *p, float *base, size_t *used, int height, int width) {
    p->height = height;
    p->width = width;
    p->stride = LEFT + up_to(width, WIDEST) + RIGHT;
    if (base) p->at = base + *used + (size_t)REACH * (size_t)p->stride + LEFT;
    *used += (size_t)(height + REACH + 1) * (size_t)p->stride;
}

static size_t lay_planes(fitter *f, float *base) {
    size_t used = 0;
    uint32_t start = 0;
    for (int c = 0; c < f->channels; c++) {
        lay_plane(&f->picture[c], base, &used, f->height, f->width);
        lay_plane(&f->output[c], base, &used, f->height, f->width);
    }
    lay_plane(&f->weight, base, &used, f->height, f->width);
    for (int k = 0; k < f->grids; k++) {
        grid *g = &f->grid[k];
        plane *planes[] = {&g->latents, &g->first, &g->second, &g->rounded, &g->slope, &g->bits, &g->gradient};
        const int height = ((f->height - 1) >> k) + 1, width = ((f->width - 1) >> k) + 1;
        g->start = start;
        start += (uint32_t)height * (uint32_t)width;
        for (size_t i = 0; i < sizeof planes / sizeof *planes; i++) lay_plane(planes[i], base, &used, height, width);
    }
    for (int k = 1; k < f->grids; k++)
        for (int l = 1; l <= k; l++) {
            lay_plane(&f->up[k][l], base, &used, f->grid[l].latents.height, f->grid[l].latents.width);
            lay_plane(&f->up_gradient[k][l], base, &used, f->grid[l].latents.height, f->grid[l].latents.width);
        }
    for (int k = 0; k < FEATURE_GRIDS; k++)
        for (int i = 0; i < f->features; i++)
            for (int l = k + 1; l < f->grids; l++) {
                lay_plane(&f->feature[k][i][l], base, &used, f->grid[l].latents.height, f->grid[l].latents.width);
                lay_plane(&f->feature_gradient[k][i][l], base, &used, f->grid[l].latents.height, f->grid[l].latents.width);
            }
    return used;
}

static void *zeros(size_t count, size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, count * size + 64)) return NULL;
    return memset(memory, 0, count * size + 64);
}

/* --- parameters -------------------------------------------------------------------------------------------------- */

static void find_places(fitter *f) {
    const int d = f->inputs, c = f->channels, h = f->hidden, k = f->grids;
    places *p = &f->places;
    int *starts[] = {&p->features[0], &p->features[1], &p->features[2], &p->a1, &p->bias1, &p->a2, &p->bias2,
                     &p->a3, &p->l, &p->b, &p->taps, &p->b1, &p->c1, &p->b2, &p->c2, &p->m,
                     &p->r1, &p->bias_r1, &p->r2, &p->bias_r2, &p->all};
    const int sizes[] = {f->features * (k - 1), f->features * (k - 2), f->features * (k - 3), d * d, d, d * d, d,
                         2 * d, 2 * d, 2 * k, 4 * (k - 1), h * k, h, c * h, c, c * k, 9 * c * c, c, 9 * c * c, c};
    *starts[0] = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) *starts[i + 1] = *starts[i] + sizes[i];
}

/* Rows `first` ... of a list of inputs: to[first + i][j] = from[j][i]. */
static void pack(float *to, int first, const float *from, int outputs, int inputs) {
    const int pitch = up_to(outputs, 4);
    for (int i = 0; i < inputs; i++)
        for (int j = 0; j < outputs; j++) to[(first + i) * pitch + j] = from[j * inputs + i];
}

/* The same for the backward direction: to[first + j][i] = from[j][i]. */
static void pack_back(float *to, int first, const float *from, int outputs, int inputs) {
    const int pitch = up_to(inputs, 4);
    for (int j = 0; j < outputs; j++) memcpy(to + (first + j) * pitch, from + j * inputs, (size_t)inputs * sizeof(float));
}

static void pack_square(float *to, float *back, const float *from, int d) {
    const int pitch = up_to(d, 4);
    pack(to, 0, from, d, d);
    pack_back(back, 0, from, d, d);
    for (int i = 0; i < d; i++) to[i * pitch + i] += 1, back[i * pitch + i] += 1;
}

static void pack_3x3(float *to, float *back, const float *from, int c, float identity) {
    for (int o = 0; o < c; o++)
        for (int i = 0; i < c; i++)
            for (int tap = 0; tap < 9; tap++) {
                const float w = from[(o * c + i) * 9 + tap] + (o == i && tap == 4 ? identity : 0);
                to[(i * 9 + tap) * 4 + o] = back[(o * 9 + tap) * 4 + i] = w;
            }
}

static void pack_all(fitter *f) {
    const float *v = f->parameters;
    const places *p = &f->places;
    packed *w = &f->packed;
    const int d = f->inputs, c = f->channels, h = f->hidden, k = f->grids;
    pack_square(w->first, w->first_back, v + p->a1, d);
    pack_square(w->second, w->second_back, v + p->a2, d);
    memcpy(w->first_bias, v + p->bias1, (size_t)d * sizeof *v);
    memcpy(w->second_bias, v + p->bias2, (size_t)d * sizeof *v);
    pack(w->third, 0, v + p->a3, 2, d);
    pack(w->third, d, v + p->l, 2, d);
    pack_back(w->third_back, 0, v + p->a3, 2, d);
    pack_back(w->first_back, d, v + p->l, 2, d);
    pack(w->hidden, 0, v + p->b1, h, k);
    memcpy(w->hidden_bias, v + p->c1, (size_t)h * sizeof *v);
    pack(w->output, 0, v + p->b2, c, h);
    pack(w->output, h, v + p->m, c, k);
    memcpy(w->output_bias, v + p->c2, (size_t)c * sizeof *v);
    pack_back(w->hidden_back, 0, v + p->b2, c, h);
    pack_back(w->input_back, 0, v + p->b1, h, k);
    pack_back(w->input_back, h, v + p->m, c, k);
    for (int z = 0; z < 2; z++) {
        pack_3x3(w->residual[z], w->residual_back[z], v + (z ? p->r2 : p->r1), c, z);
        memcpy(w->residual_bias[z], v + (z ? p->bias_r2 : p->bias_r1), (size_t)c * sizeof *v);
    }
}

/* --- jobs -------------------------------------------------------------------------------------------------------- */

static int tells_gradient(work kind) { return kind == ROWS || kind == CHAIN_BACK || kind == FEATURE_BACK; }

static void add_job(fitter *f, int *count, job new) {
    if (f->jobs) f->jobs[*count] = new;
    ++*count;
}

/* Rows of all grids in bands; of every second one where `odd` is not negative. */
static void add_bands(fitter *f, int *count, work kind, int odd) {
    for (int k = 0; k < f->grids; k++) {
        const int height = f->grid[k].latents.height;
        for (int first = 0, band = 0; first < height; first += BAND, band++)
            if (odd < 0 || band % 2 == odd)
                add_job(f, count, (job){kind, k, 0, first, first + BAND < height ? first + BAND : height});
    }
}

static void add_features(fitter *f, int *count, work kind) {
    for (int k = 0; k < FEATURE_GRIDS; k++)
        for (int i = 0; i < f->features; i++) add_job(f, count, (job){kind, k, i});
}

static void add_chains(fitter *f, int *count, work kind) {
    for (int k = 1; k < f->grids; k++) add_job(f, count, (job){kind, k});
}

/* Bands write a few rows of gradient before and after their own, so no two neighbours run at the same time. Counts where
   `f->jobs` is NULL. */
static int list_jobs(fitter *f) {
    int count = 0, phase = 0;
    f->phases[phase++] = count;
    add_bands(f, &count, ROUND, -1);
    f->phases[phase++] = count;
    add_chains(f, &count, CHAIN);
    add_features(f, &count, FEATURE);
    for (int odd = 0; odd < 2; odd++) {
        f->phases[phase++] = count;
        add_bands(f, &count, ROWS, odd);
    }
    f->phases[phase++] = count;
    add_chains(f, &count, CHAIN_BACK);
    add_features(f, &count, FEATURE_BACK);
    f->phases[phase++] = count;
    add_bands(f, &count, UPDATE, -1);
    f->phases[phase] = count;
    f->phase_count = phase;
    return count;
}

static int make_jobs(fitter *f) {
    const int count = list_jobs(f);
    f->jobs = calloc((size_t)count, sizeof *f->jobs);
    if (!f->jobs) return 0;
    list_jobs(f);
    int tell = 0;
    for (int i = 0; i < count; i++) tell += tells_gradient(f->jobs[i].kind);
    f->gradients = calloc((size_t)tell * (size_t)f->places.all, sizeof(float));
    if (!f->gradients) return 0;
    for (int i = 0, n = 0; i < count; i++)
        if (tells_gradient(f->jobs[i].kind)) f->jobs[i].gradient = f->gradients + (size_t)n++ * (size_t)f->places.all;
    return 1;
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

typedef struct {
    fitter *f;
    run_job *run;
    int threads, arrived, turn;
    atomic_int next[8];   /* job of each phase */
    pthread_mutex_t lock;
    pthread_cond_t all_here;
} team;

typedef struct {
    team *team;
    float *scratch;
    pthread_t thread;
} member;

static void wait_for_all(team *t) {
    pthread_mutex_lock(&t->lock);
    const int turn = t->turn;
    if (++t->arrived == t->threads) {
        t->arrived = 0;
        t->turn++;
        pthread_cond_broadcast(&t->all_here);
    } else {
        while (turn == t->turn) pthread_cond_wait(&t->all_here, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
}

static void *work_through(void *argument) {
    member *m = argument;
    team *t = m->team;
    for (int phase = 0; phase < t->f->phase_count; phase++) {
        int i;
        while ((i = atomic_fetch_add(&t->next[phase], 1)) < t->f->phases[phase + 1])
            t->run(t->f, &t->f->jobs[i], m->scratch);
        wait_for_all(t);
    }
    return NULL;
}

static run_job *best_loops(void) {
#ifdef __x86_64__
    if (widest > 1 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return fitter_run_avx512;
    if (widest > 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return fitter_run_avx2;
#endif
    return fitter_run_portable;
}

/* Sees to the memory of so many threads. */
static int have_scratch(fitter *f, int threads) {
    if (threads <= f->scratch_count) return 1;
    float **more = realloc(f->scratch, (size_t)threads * sizeof *more);
    if (!more) return 0;
    f->scratch = more;
    synthesis unused;
    const size_t floats = sizeof(context) / sizeof(float) + synthesis_lay(f, &unused, NULL);
    for (; f->scratch_count < threads; f->scratch_count++)
        if (!(f->scratch[f->scratch_count] = zeros(floats, sizeof(float)))) return 0;
    return 1;
}

/* Runs all phases on `threads` threads, of which this is one; fewer where the system gives no more. */
static int run_phases(fitter *f, int threads) {
    team t = {.f = f, .run = best_loops(), .threads = 1};
    member *members = calloc((size_t)threads, sizeof *members);
    if (!members || !have_scratch(f, threads)) {
        free(members);
        return FITTER_NO_MEMORY;
    }
    for (int i = 0; i < threads; i++) members[i] = (member){.team = &t, .scratch = f->scratch[i]};
    for (int phase = 0; phase < f->phase_count; phase++) atomic_init(&t.next[phase], f->phases[phase]);
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.all_here, NULL);
    int started = 1;
    pthread_mutex_lock(&t.lock); /* nobody passes before it is known how many there are */
    while (started < threads && !pthread_create(&members[started].thread, NULL, work_through, &members[started]))
        started++;
    t.threads = started;
    pthread_mutex_unlock(&t.lock);
    work_through(&members[0]);
    for (int i = 1; i < started; i++) pthread_join(members[i].thread, NULL);
    pthread_cond_destroy(&t.all_here);
    pthread_mutex_destroy(&t.lock);
    free(members);
    return FITTER_OK;
}

/* --- what others call -------------------------------------------------------------------------------------------- */

fitter *fitter_open(int height, int width, int channels, int grids, int neighbours, int features, int hidden,
                    const int8_t *offsets) {
    fitter *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->height = height, f->width = width, f->channels = channels, f->grids = grids;
    f->neighbours = neighbours, f->features = features, f->hidden = hidden, f->inputs = neighbours + features;
    for (int i = 0; i < neighbours; i++) f->offsets[i][0] = offsets[2 * i], f->offsets[i][1] = offsets[2 * i + 1];
    find_places(f);
    f->floats = zeros(lay_planes(f, NULL), sizeof(float));
    if (!f->floats || !make_jobs(f)) {
        fitter_close(f);
        return NULL;
    }
    lay_planes(f, f->floats);
    return f;
}

void fitter_aim(fitter *f, const float *picture, const float *weight) {
    for (int c = 0; c < f->channels; c++)
        for (int r = 0; r < f->height; r++)
            for (int n = 0; n < f->width; n++) row_of(&f->picture[c], r)[n] = *picture++ - 0.5f;
    for (int r = 0; r < f->height; r++, weight += f->width)
        memcpy(row_of(&f->weight, r), weight, (size_t)f->width * sizeof *weight);
}

int fitter_iterate(fitter *f, const fitter_settings *settings, const float *parameters, float *gradient,
                   fitter_loss *loss, int threads) {
    f->settings = *settings;
    f->parameters = parameters;
    pack_all(f);
    const int jobs = f->phases[f->phase_count], count = f->places.all;
    for (int i = 0; i < jobs; i++)
        if (f->jobs[i].gradient) memset(f->jobs[i].gradient, 0, (size_t)count * sizeof(float));
    const int result = run_phases(f, threads);
    *loss = (fitter_loss){0, 0};
    memset(gradient, 0, (size_t)count * sizeof *gradient);
    for (int i = 0; i < jobs; i++) {
        loss->bits += f->jobs[i].bits;
        loss->error += f->jobs[i].error;
        for (int n = 0; n < count && f->jobs[i].gradient; n++) gradient[n] += f->jobs[i].gradient[n];
    }
    return result;
}

static void copy_out(const plane *p, float *to) {
    const size_t width = (size_t)p->width;
    for (int r = 0; r < p->height; r++) memcpy(to + (size_t)r * width, row_of(p, r), width * sizeof *to);
}

void fitter_output(const fitter *f, int channel, float *samples) { copy_out(&f->output[channel], samples); }
void fitter_read(const fitter *f, int k, float *latents) { copy_out(&f->grid[k].latents, latents); }
void fitter_rounded(const fitter *f, int k, float *latents) { copy_out(&f->grid[k].rounded, latents); }
void fitter_bits(const fitter *f, int k, float *bits) { copy_out(&f->grid[k].bits, bits); }

void fitter_errors(const fitter *f, float *errors) {
    for (int r = 0; r < f->height; r++, errors += f->width) {
        memset(errors, 0, (size_t)f->width * sizeof *errors);
        for (int c = 0; c < f->channels; c++) {
            const float *found = row_of(&f->output[c], r), *wanted = row_of(&f->picture[c], r);
            for (int n = 0; n < f->width; n++) errors[n] += (found[n] - wanted[n]) * (found[n] - wanted[n]);
        }
        for (int n = 0; n < f->width; n++) errors[n] *= row_of(&f->weight, r)[n];
    }
}

void fitter_gradient(const fitter *f, int k, float *gradient) {
    const grid *g = &f->grid[k];
    const int width = g->latents.width;
    for (int r = 0; r < g->latents.height; r++)
        for (int c = 0; c < width; c++)
            gradient[(size_t)r * (size_t)width + (size_t)c] = row_of(&g->gradient, r)[c] * row_of(&g->slope, r)[c];
}

void fitter_write(fitter *f, int k, const float *latents) {
    grid *g = &f->grid[k];
    const size_t width = (size_t)g->latents.width;
    for (int r = 0; r < g->latents.height; r++) {
        memcpy(row_of(&g->latents, r), latents + (size_t)r * width, width * sizeof *latents);
        memset(row_of(&g->first, r), 0, width * sizeof *latents);
        memset(row_of(&g->second, r), 0, width * sizeof *latents);
    }
}

void fitter_close(fitter *f) {
    if (!f) return;
    for (int i = 0; i < f->scratch_count; i++) free(f->scratch[i]);
    free(f->scratch);
    free(f->gradients);
    free(f->jobs);
    free(f->floats);
    free(f);
}
