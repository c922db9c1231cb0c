/* int8 blocks with the tiles of AMX: 16,384 products an instruction. Few rows go through VNNI, which
 * every such processor has; what is done in floats goes through AVX-512. */
#include "net_int8.h"

#if ZF_HAS_AMX
#pragma GCC diagnostic ignored "-Wpsabi"
#include <immintrin.h>
#include <string.h>

#include "net_amx.h"
#include "platform.h"

#define INT8(name) name##_amx
#define INT8_TARGET                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,amx-tile,amx-int8")))
#define INT8_RUN_MAP INT8(run_tiles)
#include "net_int8_vnni.h"

/* Sums [16][16] of rows from `row` on and one panel, whatever lies in rows beyond the last. */
LOCAL void finish(const INT8(map) *m, int32_t sums[ZF_TILE_ROWS][ZF_INT8_PANEL], size_t row,
                  size_t panel, size_t n) {
    const size_t column = panel * ZF_INT8_PANEL;
    zf_ints16 start = {0};
    if (m->start) memcpy(&start, &m->start[column], sizeof start);
    for (size_t r = 0; r < ZF_TILE_ROWS && row + r < n; r++) {
        zf_ints16 sum;
        memcpy(&sum, sums[r], sizeof sum);
        INT8(finish)(m, row + r, column, sum + start);
    }
}

#define AMX_INLINE LOCAL
#define AMX_MAP INT8(map)
#define AMX_PANEL ZF_INT8_PANEL
#define AMX_INPUT uint8_t
#define AMX_WEIGHT int8_t
#define AMX_SUM int32_t
#define AMX_DOT _tile_dpbusd
#include "net_amx_body.h"

/* n rows, of which the last tile may hold fewer than 16: scratch has room for what it reads. */
INT8_TARGET static void INT8(run_tiles)(const INT8(map) *m, size_t n) {
    enum { FEW = 4 }; /* rows that take less time one by one */
    const size_t n_panels = m->width / ZF_INT8_PANEL;
    if (n <= FEW) {
        INT8(run_map)(m, n);
        return;
    }
    ZF_AMX_BEGIN();
    size_t panel = 0;
    for (; panel + 2 <= n_panels; panel += 2) {
        size_t row = 0;
        for (; row + ZF_TILE_ROWS < n; row += 2 * ZF_TILE_ROWS) tiles(m, row, panel, n, 2, 2);
        if (row < n) tiles(m, row, panel, n, 1, 2);
    }
    if (panel < n_panels)
        for (size_t row = 0; row < n; row += ZF_TILE_ROWS) tiles(m, row, panel, n, 1, 1);
    _tile_release();
}

static bool INT8(supported)(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
           zf_amx_allowed();
}

const zf_net_kernel zf_int8_amx = {
    "int8-amx", "int8", INT8(supported), zf_int8_packed_bytes, zf_int8_pack,
    zf_int8_scratch_bytes, INT8(run),
};
#else
typedef int zf_int8_amx_unknown; /* a file must hold something */
#endif
