/* Residual blocks in whole numbers: what the int8 kernels share.
 *
 * Weights are bytes -127..127 with one scale an output. Inputs of a map are made whole numbers row
 * by row, by the row's own largest: -127..127 after a layer norm, 0..255 after relu. So nothing is
 * ever cut off, whatever a position is like. Before that every input k is shifted and divided by
 * numbers of its own, which are moved into the weights: one input that is always large must not
 * make the others coarse (Xiao et al., SmoothQuant, ICML 2023). They come from a calibration.
 *
 * Sums of products are exact. What is done in floats between them is one list of operations in one
 * order, without contraction, in net_int8_body.h: all kernels give the same bits. */
#ifndef ZF_NET_INT8_H
#define ZF_NET_INT8_H

#include "net.h"
#include "platform.h"

enum {
    ZF_INT8_PANEL = 16,  /* outputs whose weights lie together */
    ZF_INT8_GROUP = 4,   /* inputs whose weights for an output lie together */
    ZF_INT8_DEPTH = 64,  /* rows of inputs are padded to this, with weights of zero */
    ZF_INT8_SIGNED = 127,
    ZF_INT8_UNSIGNED = 255,
};

/* One block, as it lies in packed. Arrays are [width]; weights are
 * [width / PANEL][depth / GROUP][PANEL][GROUP]. */
typedef struct {
    const int8_t *up, *down;
    /* The input of up is normed * gain - shift. */
    const float *gain, *shift;
    /* The exact sums times the row's scale times these, plus the bias. */
    const float *up_scale, *up_bias, *down_scale, *down_bias;
    /* Where sums begin if inputs of up are stored with 128 added, those of down with 128 taken off:
     * 128 times the sum of an output's weights, less or more. */
    const int32_t *up_start, *down_start;
} zf_int8_block;

/* Vectors; functions that take or return them are inlined, so that no calling convention matters. */
typedef float zf_floats4 __attribute__((vector_size(16)));
typedef float zf_floats8 __attribute__((vector_size(32)));
typedef float zf_floats16 __attribute__((vector_size(64)));
typedef int32_t zf_ints4 __attribute__((vector_size(16)));
typedef int32_t zf_ints8 __attribute__((vector_size(32)));
typedef int32_t zf_ints16 __attribute__((vector_size(64)));

uint32_t zf_int8_depth(const zf_net_shape *shape);
size_t zf_int8_packed_bytes(const zf_net_shape *shape);
void zf_int8_pack(void *packed, const zf_net_weights *weights, const zf_net_scales *scales);
zf_int8_block zf_int8_block_at(const void *packed, const zf_net_shape *shape, uint32_t block);

/* Of every kernel: inputs of a map as whole numbers, hidden numbers, one scale a row. */
size_t zf_int8_scratch_bytes(const zf_net_shape *shape);

extern const zf_net_kernel zf_int8_baseline;
extern const zf_net_kernel zf_int8_dotprod; /* where there is NEON */
#if defined(__x86_64__)
extern const zf_net_kernel zf_int8_avx2, zf_int8_avx512_vnni;
#if ZF_HAS_AMX
extern const zf_net_kernel zf_int8_avx_vnni, zf_int8_amx;
#endif
#endif

#endif
