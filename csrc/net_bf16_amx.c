/* bf16 blocks with the tiles of AMX: 8,192 products an instruction. Tiles take sums in another order
 * than vectors do, so every row goes through tiles, however few there are. */
#include "net_bf16.h"

#if ZF_HAS_AMX
#include <stdalign.h>

#include "net_amx.h"

#define BF16(name) name##_amx
#define BF16_TARGET                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16")))
#define BF16_RUN_MAP BF16(run_tiles)
#include "net_bf16_body.h"

/* Sums [16][16] of rows from `row` on and one panel, whatever lies in rows beyond the last. */
BF16_INLINE void finish(const BF16(map) *m, float sums[ZF_TILE_ROWS][ZF_BF16_PANEL], size_t row,
                        size_t panel, size_t n) {
    const size_t column = panel * ZF_BF16_PANEL;
    for (size_t r = 0; r < ZF_TILE_ROWS && row + r < n; r++)
        BF16(finish)(m, row + r, column, _mm512_add_ps(_mm512_loadu_ps(sums[r]),
                                                       _mm512_loadu_ps(&m->bias[column])));
}

/* One or two tiles of rows times one or two panels, as in net_int8_amx.c. */
BF16_INLINE void tiles(const BF16(map) *m, size_t row, size_t panel, size_t n, int rows,
                       int panels) {
    enum { INPUTS = ZF_TILE_BYTES / 2 };
    alignas(64) float sums[4][ZF_TILE_ROWS][ZF_BF16_PANEL];
    const size_t stride = m->depth * sizeof(uint16_t);
    const uint16_t *in = m->in + row * m->depth, *in2 = in + ZF_TILE_ROWS * m->depth;
    const uint16_t *weights = m->weights + panel * ZF_BF16_PANEL * m->depth;
    const uint16_t *weights2 = weights + ZF_BF16_PANEL * m->depth;
    _tile_zero(0);
    if (panels > 1) _tile_zero(1);
    if (rows > 1) _tile_zero(2);
    if (rows > 1 && panels > 1) _tile_zero(3);
    for (size_t k = 0; k < m->depth; k += INPUTS) {
        _tile_loadd(4, in + k, stride);
        _tile_loadd(6, weights + k * ZF_BF16_PANEL, ZF_TILE_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        if (panels > 1) {
            _tile_loadd(7, weights2 + k * ZF_BF16_PANEL, ZF_TILE_BYTES);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (rows > 1) {
            _tile_loadd(5, in2 + k, stride);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (rows > 1 && panels > 1) _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums[0], ZF_TILE_BYTES);
    finish(m, sums[0], row, panel, n);
    if (panels > 1) {
        _tile_stored(1, sums[1], ZF_TILE_BYTES);
        finish(m, sums[1], row, panel + 1, n);
    }
    if (rows > 1) {
        _tile_stored(2, sums[2], ZF_TILE_BYTES);
        finish(m, sums[2], row + ZF_TILE_ROWS, panel, n);
    }
    if (rows > 1 && panels > 1) {
        _tile_stored(3, sums[3], ZF_TILE_BYTES);
        finish(m, sums[3], row + ZF_TILE_ROWS, panel + 1, n);
    }
}

BF16_TARGET static void BF16(run_tiles)(const BF16(map) *m, size_t n) {
    const size_t n_panels = m->width / ZF_BF16_PANEL;
    ZF_AMX_BEGIN();
    for (size_t panel = 0; panel < n_panels;) {
        const bool two = panel + 2 <= n_panels;
        size_t row = 0;
        for (; two && row + ZF_TILE_ROWS < n; row += 2 * ZF_TILE_ROWS)
            tiles(m, row, panel, n, 2, 2);
        for (; row < n; row += ZF_TILE_ROWS) {
            if (two) tiles(m, row, panel, n, 1, 2);
            else tiles(m, row, panel, n, 1, 1);
        }
        panel += two ? 2 : 1;
    }
    _tile_release();
}

static bool BF16(supported)(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
           zf_amx_allowed();
}

const zf_net_kernel zf_bf16_amx = {
    "bf16-amx", "bf16", BF16(supported), zf_bf16_packed_bytes, zf_bf16_pack,
    zf_bf16_scratch_bytes, BF16(run),
};
#else
typedef int zf_bf16_amx_unknown; /* a file must hold something */
#endif
