/* See net.h. */
#include "net.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "net_bf16.h"
#include "net_fp32.h"
#include "net_int8.h"
#include "net_scales.h"

enum {
    ALIGNED = 64,
    COLUMNS = ZF_FIRST_PANEL,
    SPARE = 16,                                      /* scratches kept for the next call */
    SCORES_STRIDE = (ZF_N_SCORES + 31) / 32 * 32,    /* what a kernel may write of a row */
    BELIEF_STRIDE = (ZF_N_BELIEF + 31) / 32 * 32,
};

const zf_net_kernel *const zf_net_kernels[] = {
#if defined(__x86_64__)
    &zf_fp32_avx512.kernel,
    &zf_fp32_avx2.kernel,
#endif
    &zf_fp32_baseline.kernel,
#if ZF_HAS_AMX
    &zf_bf16_amx,
#endif
#if defined(__x86_64__)
    &zf_bf16_avx512,
#endif
#if ZF_HAS_AMX
    &zf_int8_amx,
#endif
#if defined(__x86_64__)
    &zf_int8_avx512_vnni,
#endif
#if ZF_HAS_AMX
    &zf_int8_avx_vnni,
#endif
#if defined(__x86_64__)
    &zf_int8_avx2,
#elif defined(__aarch64__)
    &zf_int8_dotprod,
#endif
    &zf_int8_baseline,
    NULL,
};

const zf_net_kernel *zf_net_kernel_named(const char *name) {
    for (const zf_net_kernel *const *k = zf_net_kernels; *k; k++)
        if (strcmp((*k)->name, name) == 0) return *k;
    return NULL;
}

const zf_net_kernel *zf_net_kernel_for(const char *precision) {
    for (const zf_net_kernel *const *k = zf_net_kernels; *k; k++)
        if (strcmp((*k)->precision, precision) == 0 && (*k)->supported()) return *k;
    return NULL;
}

struct zf_net {
    zf_net_shape shape;
    const zf_net_kernel *kernel;
    const zf_fp32 *fp32; /* runs the heads */
    const zf_v2_ends *ends;
    zf_first first;
    zf_brief brief; /* instead, for all but fp32: it has a table then */
    float *heads, *belief;
    void *memory, *blocks; /* memory holds the rest */
    size_t scratch_bytes, bytes;
    _Atomic(char *) spare[SPARE];
};

static size_t aligned(size_t bytes) { return (bytes + ALIGNED - 1) / ALIGNED * ALIGNED; }

static size_t floats(size_t n) { return aligned(n * sizeof(float)); }

/* Parts of a thread's scratch, each of ZF_NET_ROWS rows; the kernel's own comes last. */
static size_t x_bytes(const zf_net *net) {
    return floats(ZF_NET_ROWS * (size_t)net->shape.width);
}
static size_t normed_bytes(const zf_net *net) {
    return floats(ZF_NET_ROWS * zf_fp32_stride(net->shape.width));
}
enum {
    SCORES_BYTES = ZF_NET_ROWS * SCORES_STRIDE * sizeof(float),
    BELIEF_BYTES = ZF_NET_ROWS * BELIEF_STRIDE * sizeof(float),
};

static bool maps(const zf_linear *map, uint32_t n_in, uint32_t n_out) {
    return map->weight && map->bias && map->n_in == n_in && map->n_out == n_out;
}

static bool sound(const zf_net_weights *w) {
    uint32_t width = w->shape.width, n_blocks = w->shape.n_blocks;
    if (width == 0 || width % ZF_NET_STEP || width > ZF_NET_MAX_WIDTH) return false;
    if (n_blocks == 0 || n_blocks > ZF_NET_MAX_BLOCKS || !w->table || !w->first_bias) return false;
    for (uint32_t b = 0; b < n_blocks; b++)
        if (!maps(&w->up[b], width, width) || !maps(&w->down[b], width, width)) return false;
    return maps(&w->heads, width, ZF_N_SCORES) &&
           (!w->shape.belief || maps(&w->belief, width, ZF_N_BELIEF));
}

/* A scratch for this call, from those kept if there is one; waits where there is no memory for
 * another, for the one made with the network always comes back. */
static char *take_scratch(zf_net *net) {
    for (;;) {
        for (int i = 0; i < SPARE; i++) {
            char *found = atomic_exchange(&net->spare[i], NULL);
            if (found) return found;
        }
        char *made = aligned_alloc(ALIGNED, net->scratch_bytes);
        if (made) return made;
        sched_yield();
    }
}

static void give_back(zf_net *net, char *scratch) {
    for (int i = 0; i < SPARE; i++) {
        char *none = NULL;
        if (atomic_compare_exchange_strong(&net->spare[i], &none, scratch)) return;
    }
    free(scratch);
}

static size_t first_bytes(const zf_net_shape *s, bool brief) {
    size_t n_panels = (s->width + COLUMNS - 1) / COLUMNS, n_bits = zf_net_bits(s);
    size_t bias = floats(s->width);
    if (brief) return aligned(n_panels * zf_brief_panel(n_bits) * sizeof(int16_t)) + 2 * bias;
    return floats(n_panels * COLUMNS * n_bits) + bias;
}

/* The first layer in panels end to end, at the beginning of the network's memory. */
static void put_first(zf_net *net, const zf_net_weights *w, bool brief) {
    size_t width = w->shape.width, n_bits = zf_net_bits(&w->shape), panel = COLUMNS * n_bits;
    char *end = (char *)net->memory + first_bytes(&w->shape, brief);
    float *table = net->memory, *bias = (float *)(end - floats(width));
    memcpy(bias, w->first_bias, width * sizeof *bias);
    if (brief) {
        float *unit = (float *)(end - 2 * floats(width));
        zf_brief_pack(net->memory, unit, w->table, n_bits, width, net->ends);
        net->brief = (zf_brief){net->memory, unit, bias, n_bits, width};
        return;
    }
    for (size_t column = 0, at = 0; column < width; column += COLUMNS, at += panel)
        for (size_t bit = 0; bit < n_bits; bit++)
            memcpy(&table[at + bit * COLUMNS], &w->table[bit * width + column],
                   (width - column < COLUMNS ? width - column : COLUMNS) * sizeof *table);
    net->first = (zf_first){table, bias, n_bits, width, COLUMNS, panel};
}

zf_net *zf_net_new(const zf_net_weights *w, const zf_net_kernel *kernel,
                   const zf_net_scales *scales) {
    if (!sound(w) || !kernel || !kernel->supported()) return NULL;
    bool whole_numbers = strcmp(kernel->precision, "int8") == 0;
    bool brief = strcmp(kernel->precision, "fp32") != 0;
    if (whole_numbers && !zf_net_scales_sound(scales, &w->shape)) return NULL;
    zf_net *net = calloc(1, sizeof *net);
    if (!net) return NULL;
    net->shape = w->shape;
    net->kernel = kernel;
    net->fp32 = zf_fp32_of(kernel);
    net->ends = zf_v2_ends_of(net->fp32->set);
    size_t width = w->shape.width, columns = net->fp32->columns;
    size_t first = first_bytes(&w->shape, brief);
    size_t heads = floats(zf_fp32_packed((uint32_t)width, ZF_N_SCORES, (uint32_t)columns));
    size_t belief = floats(zf_fp32_packed((uint32_t)width, ZF_N_BELIEF, (uint32_t)columns));
    size_t blocks = aligned(kernel->packed_bytes(&net->shape));
    size_t weights = first + heads + (net->shape.belief ? belief : 0) + blocks;
    net->scratch_bytes = x_bytes(net) + normed_bytes(net) + SCORES_BYTES + BELIEF_BYTES +
                         aligned(kernel->scratch_bytes(&net->shape));
    net->bytes = sizeof *net + weights + net->scratch_bytes;
    char *memory = aligned_alloc(ALIGNED, weights);
    net->memory = memory;
    net->spare[0] = aligned_alloc(ALIGNED, net->scratch_bytes);
    if (!memory || !net->spare[0]) {
        zf_net_free(net);
        return NULL;
    }
    put_first(net, w, brief);
    net->blocks = memory += first;
    net->heads = (float *)(memory += blocks);
    if (net->shape.belief) net->belief = (float *)(memory + heads);
    kernel->pack(net->blocks, w, scales);
    zf_fp32_pack(net->heads, &w->heads, (uint32_t)columns);
    if (net->belief) zf_fp32_pack(net->belief, &w->belief, (uint32_t)columns);
    return net;
}

void zf_net_free(zf_net *net) {
    if (!net) return;
    for (int i = 0; i < SPARE; i++) free(net->spare[i]);
    free(net->memory);
    free(net);
}

const zf_net_kernel *zf_net_kernel_of(const zf_net *net) { return net->kernel; }
const zf_net_shape *zf_net_shape_of(const zf_net *net) { return &net->shape; }
size_t zf_net_bytes(const zf_net *net) { return net->bytes; }

/* Where a piece's answers go: evals, or scores and perhaps belief. */
typedef struct {
    float *evals, *scores, *belief;
} answers_to;

static void head(const zf_net *net, float *out, size_t stride, const float *normed,
                 const float *packed, uint32_t n_out, size_t n) {
    net->fp32->linear(out, stride, normed, zf_fp32_stride(net->shape.width), packed,
                      net->shape.width, n_out, n, ZF_STORE);
}

/* Rows of one stride to rows without gaps. */
static void close_up(float *to, const float *from, size_t stride, size_t width, size_t n) {
    for (size_t i = 0; i < n; i++) memcpy(to + i * width, from + i * stride, width * sizeof *to);
}

/* Up to ZF_NET_ROWS observations through everything. */
static size_t run_piece(const zf_net *net, char *scratch, const zf_obs *obs, size_t n,
                        answers_to to) {
    size_t width = net->shape.width;
    float *x = (float *)scratch, *normed = (float *)(scratch += x_bytes(net));
    float *scores = (float *)(scratch += normed_bytes(net));
    float *belief = (float *)(scratch += SCORES_BYTES);
    size_t done = net->brief.table ? net->ends->brief_layer(x, obs, n, &net->brief)
                                   : net->ends->first_layer(x, obs, n, &net->first);
    if (done < n) return done;
    net->kernel->run(net->blocks, &net->shape, x, n, scratch + BELIEF_BYTES);
    net->fp32->norm(normed, zf_fp32_stride(net->shape.width), x, width, width, n);
    head(net, scores, SCORES_STRIDE, normed, net->heads, ZF_N_SCORES, n);
    if (to.evals) net->ends->answers(to.evals, obs, n, scores, SCORES_STRIDE);
    if (to.scores) close_up(to.scores, scores, SCORES_STRIDE, ZF_N_SCORES, n);
    if (to.belief) {
        head(net, belief, BELIEF_STRIDE, normed, net->belief, ZF_N_BELIEF, n);
        close_up(to.belief, belief, BELIEF_STRIDE, ZF_N_BELIEF, n);
    }
    return n;
}

/* In pieces of about the same size: the last of a batch is not left with a single row. */
static size_t run(zf_net *net, const zf_obs *obs, size_t n, answers_to to) {
    size_t n_pieces = (n + ZF_NET_ROWS - 1) / ZF_NET_ROWS, first = 0;
    if (n == 0) return 0;
    char *scratch = take_scratch(net);
    for (size_t i = 0; i < n_pieces; i++) {
        size_t rows = n / n_pieces + (i < n % n_pieces);
        answers_to here = {to.evals ? to.evals + first * 8 : NULL,
                           to.scores ? to.scores + first * ZF_N_SCORES : NULL,
                           to.belief && net->belief ? to.belief + first * ZF_N_BELIEF : NULL};
        size_t done = run_piece(net, scratch, obs + first, rows, here);
        first += done;
        if (done < rows) break;
    }
    give_back(net, scratch);
    return first;
}

size_t zf_net_evaluate(zf_net *net, const zf_obs *obs, size_t n, float *evals) {
    return run(net, obs, n, (answers_to){.evals = evals});
}

size_t zf_net_scores(zf_net *net, const zf_obs *obs, size_t n, float *scores, float *belief) {
    return run(net, obs, n, (answers_to){.scores = scores, .belief = belief});
}

void zf_net_blocks(zf_net *net, float *x, size_t n) {
    char *scratch = take_scratch(net);
    char *of_kernel = scratch + x_bytes(net) + normed_bytes(net) + SCORES_BYTES + BELIEF_BYTES;
    for (size_t first = 0; first < n; first += ZF_NET_ROWS) {
        size_t rows = n - first < ZF_NET_ROWS ? n - first : ZF_NET_ROWS;
        net->kernel->run(net->blocks, &net->shape, x + first * net->shape.width, rows, of_kernel);
    }
    give_back(net, scratch);
}
