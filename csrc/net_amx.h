/* AMX: products of tiles, 16 rows of 64 bytes each. What its kernels share. */
#ifndef ZF_NET_AMX_H
#define ZF_NET_AMX_H

#include <stdbool.h>
#include <stdint.h>

enum { ZF_TILE_ROWS = 16, ZF_TILE_BYTES = 64, ZF_N_TILES = 8 };

/* May this process use tiles? Linux must be asked, once for all threads to come; it refuses where a
 * thread's alternate signal stack has no room for their state. Other systems: no. */
bool zf_amx_allowed(void);

/* Begins a stretch of work with all eight tiles at full size, in this thread. It ends with
 * _tile_release, so that the operating system need not save tiles nor another library find them. */
#define ZF_AMX_BEGIN()                                                                             \
    do {                                                                                           \
        struct {                                                                                   \
            uint8_t palette, start_row, reserved[14];                                              \
            uint16_t bytes[16];                                                                    \
            uint8_t rows[16];                                                                      \
        } shape = {.palette = 1};                                                                  \
        for (int tile = 0; tile < ZF_N_TILES; tile++) {                                            \
            shape.bytes[tile] = ZF_TILE_BYTES;                                                     \
            shape.rows[tile] = ZF_TILE_ROWS;                                                       \
        }                                                                                          \
        _tile_loadconfig(&shape);                                                                  \
    } while (0)

#endif
