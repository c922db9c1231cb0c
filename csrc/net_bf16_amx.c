/* bf16 blocks with the tiles of AMX: 8,192 products an instruction. Tiles take sums in another order
 * than vectors do, so every row goes through tiles, however few there are. */
#include "net_bf16.h"

#if ZF_HAS_AMX
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

#define AMX_INLINE BF16_INLINE
#define AMX_MAP BF16(map)
#define AMX_PANEL ZF_BF16_PANEL
#define AMX_INPUT uint16_t
#define AMX_WEIGHT uint16_t
#define AMX_SUM float
#define AMX_DOT _tile_dpbf16ps
#include "net_amx_body.h"

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
