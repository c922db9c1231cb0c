/* Residual blocks with weights and inputs in bfloat16, sums in fp32.
 *
 * Rounded to nearest, to even at a half. The processors' own instructions decide the rest: they add
 * products two by two without rounding between, or not, and take subnormal numbers for zero. So
 * kernels of different hardware may differ in the last bits, as fp32 kernels may; rows depend on
 * nothing but themselves. */
#ifndef ZF_NET_BF16_H
#define ZF_NET_BF16_H

#include "net.h"
#include "platform.h"

enum {
    ZF_BF16_PANEL = 16, /* outputs whose weights lie together */
    ZF_BF16_DEPTH = 32, /* inputs are padded to this, with weights of zero */
};

/* One block as it lies in packed: weights [width / PANEL][depth / 2][PANEL][2], biases [width]. */
typedef struct {
    const uint16_t *up, *down;
    const float *up_bias, *down_bias;
} zf_bf16_block;

uint32_t zf_bf16_depth(const zf_net_shape *shape);
size_t zf_bf16_packed_bytes(const zf_net_shape *shape);
void zf_bf16_pack(void *packed, const zf_net_weights *weights, const zf_net_scales *scales);
zf_bf16_block zf_bf16_block_at(const void *packed, const zf_net_shape *shape, uint32_t block);
size_t zf_bf16_scratch_bytes(const zf_net_shape *shape);

#if defined(__x86_64__)
extern const zf_net_kernel zf_bf16_avx512;
#endif
#if ZF_HAS_AMX
extern const zf_net_kernel zf_bf16_amx;
#endif

#endif
