/* See net_bf16.h. Here: packing, and the kernel for AVX512-BF16. */
#include "net_bf16.h"

#include <math.h>
#include <string.h>

uint32_t zf_bf16_depth(const zf_net_shape *s) {
    return (s->width + ZF_BF16_DEPTH - 1) / ZF_BF16_DEPTH * ZF_BF16_DEPTH;
}

static size_t map_weights(const zf_net_shape *s) { return (size_t)s->width * zf_bf16_depth(s); }

static size_t block_bytes(const zf_net_shape *s) {
    return 2 * (sizeof(uint16_t) * map_weights(s) + sizeof(float) * (size_t)s->width);
}

size_t zf_bf16_packed_bytes(const zf_net_shape *s) { return s->n_blocks * block_bytes(s); }

zf_bf16_block zf_bf16_block_at(const void *packed, const zf_net_shape *s, uint32_t block) {
    const char *at = (const char *)packed + block * block_bytes(s);
    const uint16_t *weights = (const uint16_t *)(const void *)at;
    const float *bias = (const float *)(const void *)(weights + 2 * map_weights(s));
    return (zf_bf16_block){weights, weights + map_weights(s), bias, bias + s->width};
}

size_t zf_bf16_scratch_bytes(const zf_net_shape *s) {
    return 2 * ZF_NET_ROWS * sizeof(uint16_t) * zf_bf16_depth(s);
}

/* To nearest, to even at a half; what is no number stays so. */
static uint16_t narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static void pack_map(const uint16_t *weights, const float *biases, const zf_linear *map,
                     uint32_t depth) {
    uint16_t *to = (uint16_t *)(uintptr_t)weights;
    memcpy((float *)(uintptr_t)biases, map->bias, map->n_out * sizeof(float));
    memset(to, 0, sizeof *to * map->n_out * depth);
    for (uint32_t o = 0; o < map->n_out; o++) {
        uint16_t *panel = to + (size_t)(o / ZF_BF16_PANEL) * ZF_BF16_PANEL * depth;
        for (uint32_t k = 0; k < map->n_in; k++)
            panel[(k / 2 * ZF_BF16_PANEL + o % ZF_BF16_PANEL) * 2 + k % 2] =
                narrow(map->weight[(size_t)o * map->n_in + k]);
    }
}

void zf_bf16_pack(void *packed, const zf_net_weights *w, const zf_net_scales *scales) {
    (void)scales;
    for (uint32_t i = 0; i < w->shape.n_blocks; i++) {
        zf_bf16_block b = zf_bf16_block_at(packed, &w->shape, i);
        pack_map(b.up, b.up_bias, &w->up[i], zf_bf16_depth(&w->shape));
        pack_map(b.down, b.down_bias, &w->down[i], zf_bf16_depth(&w->shape));
    }
}

#if defined(__x86_64__)
#define BF16(name) name##_avx512
#define BF16_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#include "net_bf16_body.h"

static bool BF16(supported)(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}

const zf_net_kernel zf_bf16_avx512 = {
    "bf16-avx512", "bf16", BF16(supported), zf_bf16_packed_bytes, zf_bf16_pack,
    zf_bf16_scratch_bytes, BF16(run),
};
#endif
