/* Layer norm and linear maps in fp32, once for each instruction set. The residual blocks of fp32
 * networks are made of them, and the heads of every network. */
#ifndef ZF_NET_FP32_H
#define ZF_NET_FP32_H

#include "net.h"

/* What becomes of a map's sums: stored, stored if positive (0 else), added to what is there. */
typedef enum { ZF_STORE, ZF_RELU, ZF_ADD } zf_sums_to;

typedef struct {
    zf_net_kernel kernel; /* the residual blocks of this instruction set */
    zf_set set;
    uint32_t columns;     /* outputs that are packed side by side; rows may be written so far */
    /* out[r] = (in[r] - mean) / sqrt(variance + 1e-5) of rows of so many numbers. */
    void (*norm)(float *out, size_t out_stride, const float *in, size_t in_stride, size_t width,
                 size_t n);
    /* out[r] = the map over in[r], for n rows; packed by zf_fp32_pack for the same columns. */
    void (*linear)(float *out, size_t out_stride, const float *in, size_t in_stride,
                   const float *packed, uint32_t n_in, uint32_t n_out, size_t n, zf_sums_to what);
} zf_fp32;

extern const zf_fp32 zf_fp32_baseline;
#if defined(__x86_64__)
extern const zf_fp32 zf_fp32_avx2, zf_fp32_avx512;
#endif

/* The instruction set whose kernel this is, or else the best one that is supported here. */
const zf_fp32 *zf_fp32_of(const zf_net_kernel *kernel);

/* Panels of so many columns, zeros beyond the last output: their biases, then for each input in
 * turn its weights. Sizes in floats. */
size_t zf_fp32_packed(uint32_t n_in, uint32_t n_out, uint32_t columns);
void zf_fp32_pack(float *packed, const zf_linear *map, uint32_t columns);

/* Numbers from one row to the next in scratch: not all at one place of the cache. */
size_t zf_fp32_stride(uint32_t width);

#endif
