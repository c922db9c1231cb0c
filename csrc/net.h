/* The v2 network: packed observations in, priors and a value out, without Python or torch.
 *
 * x = the first layer's sum of rows; then n_blocks times x + down(relu(up(norm(x)))); then linear
 * heads over norm(x). Twins: zebfast/net/v2.py (torch), tests/support/slow_network.py (NumPy). The
 * ends are csrc/v2_features.h; what lies between is run by one of several kernels, chosen by the
 * processor and the precision asked for. */
#ifndef ZF_NET_H
#define ZF_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "records.h"
#include "v2_features.h"

enum {
    ZF_NET_STEP = ZF_FIRST_LAYER_STEP, /* widths are multiples of this */
    ZF_NET_MAX_WIDTH = 4096,
    ZF_NET_MAX_BLOCKS = 64,
    ZF_NET_ROWS = 64,                   /* most rows that a kernel is given at once */
    ZF_N_BELIEF = 3 * ZF_N_DOMINOES,    /* a domino was dealt to left, partner, right */
};

typedef struct {
    uint32_t width, n_blocks;
    bool belief;
    bool contract; /* whether its first layer has rows for the bits of contracts */
} zf_net_shape;

ZF_INLINE size_t zf_net_bits(const zf_net_shape *s) {
    return s->contract ? ZF_N_FEATURES : ZF_N_HAND_FEATURES;
}

/* One linear map: weight [n_out][n_in], bias [n_out]. */
typedef struct {
    const float *weight, *bias;
    uint32_t n_in, n_out;
} zf_linear;

/* Folded: the scale and shift of every layer norm are in the map that reads it. */
typedef struct {
    zf_net_shape shape;
    const float *table;         /* [zf_net_bits][width]: the first layer's weight, transposed */
    const float *first_bias;    /* [width] */
    const zf_linear *up, *down; /* [n_blocks] each */
    zf_linear heads;            /* [ZF_N_SCORES] of width: 28 dominoes, then 0..42 points */
    zf_linear belief;           /* [ZF_N_BELIEF] of width, if shape.belief */
} zf_net_weights;

/* Ranges of the inputs of every block's maps on real positions, for kernels that compute in whole
 * numbers (net_scales.h). [n_blocks][width] each. */
typedef struct {
    const float *low, *high; /* of up: normed, without scale and shift */
    const float *hidden;     /* largest of down: never below 0 */
} zf_net_scales;

/* One way to run the residual blocks.
 *
 * A row's result depends on that row alone, not on n or its place: every output is one chain of
 * sums in a fixed order. packed and scratch begin at multiples of 64 bytes. */
typedef struct {
    const char *name;                  /* fp32-avx512, int8-avx2: unique */
    const char *precision;             /* fp32, bf16, int8 */
    bool (*supported)(void);           /* by this processor and its operating system */
    size_t (*packed_bytes)(const zf_net_shape *shape);
    void (*pack)(void *packed, const zf_net_weights *weights, const zf_net_scales *scales);
    size_t (*scratch_bytes)(const zf_net_shape *shape);
    /* x [n][width] in place, n up to ZF_NET_ROWS. */
    void (*run)(const void *packed, const zf_net_shape *shape, float *x, size_t n, void *scratch);
} zf_net_kernel;

/* Every kernel of this build, supported here or not; the fastest first within a precision. */
extern const zf_net_kernel *const zf_net_kernels[]; /* NULL ends */

/* The kernel of this name, or else the first supported one of this precision; NULL if none. */
const zf_net_kernel *zf_net_kernel_named(const char *name);
const zf_net_kernel *zf_net_kernel_for(const char *precision);

typedef struct zf_net zf_net;

/* Copies and packs; NULL if there is no memory, or no such network, kernel or scales can be. scales
 * may be NULL but for int8. Read-only from then on: any number of threads may use it. */
zf_net *zf_net_new(const zf_net_weights *weights, const zf_net_kernel *kernel,
                   const zf_net_scales *scales);
void zf_net_free(zf_net *net);
const zf_net_kernel *zf_net_kernel_of(const zf_net *net);
const zf_net_shape *zf_net_shape_of(const zf_net *net);
size_t zf_net_bytes(const zf_net *net); /* of one set of weights and one thread's scratch */

/* evals [n][8]: seven priors by slot, then the value; NaN where the scores are not finite. Any n.
 * Returns n, or the number of the first observation that no seat could have (evals is then
 * unfinished). Allocates only when more threads than ever before are at work at once. */
size_t zf_net_evaluate(zf_net *net, const zf_obs *obs, size_t n, float *evals);

/* The same up to scores [n][ZF_N_SCORES] and, if asked for and there, belief [n][ZF_N_BELIEF]. */
size_t zf_net_scores(zf_net *net, const zf_obs *obs, size_t n, float *scores, float *belief);

/* The residual blocks alone: x [n][width] in place, any n. */
void zf_net_blocks(zf_net *net, float *x, size_t n);

#endif
