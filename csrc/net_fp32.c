/* See net_fp32.h and, for the kernels themselves, net_fp32_body.h. */
#include "net_fp32.h"

/* Vectors are returned by inlined functions only, so that no calling convention is involved. */
#pragma GCC diagnostic ignored "-Wpsabi"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

size_t zf_fp32_packed(uint32_t n_in, uint32_t n_out, uint32_t columns) {
    size_t n_panels = (n_out + columns - 1) / columns;
    return n_panels * columns * ((size_t)n_in + 1);
}

void zf_fp32_pack(float *packed, const zf_linear *map, uint32_t columns) {
    for (uint32_t first = 0; first < map->n_out; first += columns) {
        for (uint32_t c = 0; c < columns; c++)
            packed[c] = first + c < map->n_out ? map->bias[first + c] : 0.0f;
        packed += columns;
        for (uint32_t k = 0; k < map->n_in; k++, packed += columns)
            for (uint32_t c = 0; c < columns; c++)
                packed[c] = first + c < map->n_out
                                ? map->weight[(size_t)(first + c) * map->n_in + k]
                                : 0.0f;
    }
}

size_t zf_fp32_stride(uint32_t width) { return (width + 31u) / 32 * 32 + 16; }

static size_t scratch_bytes(const zf_net_shape *s) {
    return 2 * ZF_NET_ROWS * zf_fp32_stride(s->width) * sizeof(float);
}

#define ENTRY(set, lanes)                                                                         \
    {                                                                                             \
        {"fp32-" #set, "fp32", supported_##set, packed_bytes_##set, pack_##set, scratch_bytes,    \
         run_##set},                                                                              \
            2 * lanes, norm_##set, linear_##set                                                   \
    }

/* What every processor of the kind has: SSE2 on x86-64, NEON on arm64. */
#define FP32(name) name##_baseline
#define FP32_TARGET
#define FP32_LANES 4
#if defined(__aarch64__)
#define FP32_TALL 12
#define FP32_MADD(a, b, c) ((vec_baseline)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#else
#define FP32_TALL 6
#define FP32_MADD(a, b, c) ((a) * (b) + (c))
#endif
#include "net_fp32_body.h"
#undef FP32
#undef FP32_TARGET
#undef FP32_LANES
#undef FP32_TALL
#undef FP32_MADD

static bool supported_baseline(void) { return true; }

const zf_fp32 zf_fp32_baseline = ENTRY(baseline, 4);

#if defined(__x86_64__)
#define FP32(name) name##_avx2
#define FP32_TARGET __attribute__((target("avx2,fma")))
#define FP32_LANES 8
#define FP32_TALL 6
#define FP32_MADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#include "net_fp32_body.h"
#undef FP32
#undef FP32_TARGET
#undef FP32_LANES
#undef FP32_TALL
#undef FP32_MADD

static bool supported_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const zf_fp32 zf_fp32_avx2 = ENTRY(avx2, 8);

#define FP32(name) name##_avx512
#define FP32_TARGET __attribute__((target("avx512f")))
#define FP32_LANES 16
#define FP32_TALL 12
#define FP32_MADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "net_fp32_body.h"

static bool supported_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f");
}

const zf_fp32 zf_fp32_avx512 = ENTRY(avx512, 16);
#endif

const zf_fp32 *zf_fp32_of(const zf_net_kernel *kernel) {
    static const zf_fp32 *const all[] = {
#if defined(__x86_64__)
        &zf_fp32_avx512, &zf_fp32_avx2,
#endif
        &zf_fp32_baseline,
    };
    size_t n = sizeof all / sizeof *all;
    for (size_t i = 0; i < n; i++)
        if (&all[i]->kernel == kernel) return all[i];
    for (size_t i = 0; i + 1 < n; i++)
        if (all[i]->kernel.supported()) return all[i];
    return all[n - 1];
}
