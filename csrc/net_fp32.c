/* See net_fp32.h and, for the kernels themselves, net_fp32_body.h. */
#include "net_fp32.h"

#include <math.h>

#include "vectors.h"

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

#define ENTRY(set, which, lanes)                                                                         \
    {                                                                                             \
        {"fp32-" #set, "fp32", supported_##set, packed_bytes_##set, pack_##set, scratch_bytes,    \
         run_##set},                                                                              \
            which, 2 * lanes, norm_##set, linear_##set                                                   \
    }

#define INSTRUCTION_SETS_BODY "net_fp32_body.h"
#include "instruction_sets.h"

static bool supported_baseline(void) { return zf_set_supported(ZF_SET_BASELINE); }

const zf_fp32 zf_fp32_baseline = ENTRY(baseline, ZF_SET_BASELINE, 4);

#if defined(__x86_64__)
static bool supported_avx2(void) { return zf_set_supported(ZF_SET_AVX2); }
static bool supported_avx512(void) { return zf_set_supported(ZF_SET_AVX512); }

const zf_fp32 zf_fp32_avx2 = ENTRY(avx2, ZF_SET_AVX2, 8);
const zf_fp32 zf_fp32_avx512 = ENTRY(avx512, ZF_SET_AVX512, 16);
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
