/* What tiles of AMX do for either precision: a tile of rows times a panel of outputs, one or two of
 * each at a time. Included by the file of each kernel, which defines before
 *
 *     AMX_INLINE           the attribute of a function that is inlined, and its instructions
 *     AMX_MAP, AMX_PANEL   the type of a map; how many outputs of it lie together
 *     AMX_INPUT, AMX_WEIGHT, AMX_SUM   the types of one of each
 *     AMX_DOT              the instruction that adds the products of two tiles to a third
 *     finish               takes sums [16][16] of rows from `row` on and one panel */
#include <immintrin.h>
#include <stdalign.h>

#include "net_amx.h"

/* One or two tiles of rows times one or two panels; both are constants. Tiles 0..3 hold sums, 4
 * and 5 inputs, 6 and 7 weights. */
AMX_INLINE void tiles(const AMX_MAP *m, size_t row, size_t panel, size_t n, int rows, int panels) {
    enum { INPUTS = ZF_TILE_BYTES / sizeof(AMX_INPUT) };
    alignas(64) AMX_SUM sums[4][ZF_TILE_ROWS][AMX_PANEL];
    const size_t stride = m->depth * sizeof(AMX_INPUT);
    const AMX_INPUT *in = m->in + row * m->depth, *in2 = in + ZF_TILE_ROWS * m->depth;
    const AMX_WEIGHT *weights = m->weights + panel * AMX_PANEL * m->depth;
    const AMX_WEIGHT *weights2 = weights + AMX_PANEL * m->depth;
    _tile_zero(0);
    if (panels > 1) _tile_zero(1);
    if (rows > 1) _tile_zero(2);
    if (rows > 1 && panels > 1) _tile_zero(3);
    for (size_t k = 0; k < m->depth; k += INPUTS) {
        _tile_loadd(4, in + k, stride);
        _tile_loadd(6, weights + k * AMX_PANEL, ZF_TILE_BYTES);
        AMX_DOT(0, 4, 6);
        if (panels > 1) {
            _tile_loadd(7, weights2 + k * AMX_PANEL, ZF_TILE_BYTES);
            AMX_DOT(1, 4, 7);
        }
        if (rows > 1) {
            _tile_loadd(5, in2 + k, stride);
            AMX_DOT(2, 5, 6);
        }
        if (rows > 1 && panels > 1) AMX_DOT(3, 5, 7);
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
