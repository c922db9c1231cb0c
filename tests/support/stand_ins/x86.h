/* Plain C in place of the instructions of AMX and AVX-VNNI, which the machine that tests may lack.
 * Included before everything else in a file of csrc/; compiled without optimization, so that no
 * compiler turns it back into what it stands for. Stricter than the processor in one thing: a tile
 * that was not configured, or read before it was written, ends the program. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAND_IN static __attribute__((noinline, unused))

typedef struct {
    int rows, bytes, written;
    union {
        uint8_t u8[16][64];
        int8_t s8[16][64];
        uint16_t bf16[16][32];
        int32_t s32[16][16];
        float f32[16][16];
    } at;
} stand_in_tile;

static stand_in_tile stand_in_tiles[8];

STAND_IN stand_in_tile *stand_in(int tile, int written) {
    stand_in_tile *found = &stand_in_tiles[tile];
    if (tile < 0 || tile > 7 || !found->rows || found->written < written) {
        fprintf(stderr, "tile %d is not to be read or written\n", tile);
        abort();
    }
    found->written = 1;
    return found;
}

STAND_IN void stand_in_config(const void *from) {
    const uint8_t *config = from;
    memset(stand_in_tiles, 0, sizeof stand_in_tiles);
    if (config[0] != 1 || config[1] != 0) abort();
    for (int i = 2; i < 16; i++)
        if (config[i]) abort();
    for (int tile = 0; tile < 8; tile++) {
        uint16_t bytes;
        memcpy(&bytes, config + 16 + 2 * tile, sizeof bytes);
        if (bytes > 64 || config[48 + tile] > 16) abort();
        stand_in_tiles[tile].bytes = bytes;
        stand_in_tiles[tile].rows = config[48 + tile];
    }
    for (int tile = 8; tile < 16; tile++)
        if (config[16 + 2 * tile] || config[17 + 2 * tile] || config[48 + tile]) abort();
}

STAND_IN void stand_in_release(void) { memset(stand_in_tiles, 0, sizeof stand_in_tiles); }

STAND_IN void stand_in_zero(int tile) {
    stand_in_tile *t = stand_in(tile, 0);
    memset(&t->at, 0, sizeof t->at);
}

STAND_IN void stand_in_load(int tile, const void *from, size_t stride) {
    stand_in_tile *t = stand_in(tile, 0);
    memset(&t->at, 0, sizeof t->at);
    for (int r = 0; r < t->rows; r++)
        memcpy(t->at.u8[r], (const char *)from + (size_t)r * stride, (size_t)t->bytes);
}

STAND_IN void stand_in_store(int tile, void *to, size_t stride) {
    stand_in_tile *t = stand_in(tile, 1);
    for (int r = 0; r < t->rows; r++)
        memcpy((char *)to + (size_t)r * stride, t->at.u8[r], (size_t)t->bytes);
}

STAND_IN void stand_in_dpbusd(int sums, int inputs, int weights) {
    stand_in_tile *s = stand_in(sums, 1), *x = stand_in(inputs, 1), *w = stand_in(weights, 1);
    for (int r = 0; r < s->rows; r++)
        for (int o = 0; o < s->bytes / 4; o++)
            for (int k = 0; k < x->bytes; k++)
                s->at.s32[r][o] += x->at.u8[r][k] * w->at.s8[k / 4][4 * o + k % 4];
}

STAND_IN float stand_in_wide(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float made;
    memcpy(&made, &bits, sizeof made);
    return made;
}

STAND_IN void stand_in_dpbf16ps(int sums, int inputs, int weights) {
    stand_in_tile *s = stand_in(sums, 1), *x = stand_in(inputs, 1), *w = stand_in(weights, 1);
    for (int r = 0; r < s->rows; r++)
        for (int o = 0; o < s->bytes / 4; o++)
            for (int k = 0; k < x->bytes / 2; k++)
                s->at.f32[r][o] += stand_in_wide(x->at.bf16[r][k]) *
                                   stand_in_wide(w->at.bf16[k / 2][2 * o + k % 2]);
}

typedef struct {
    int32_t at[8];
} stand_in_ints;

STAND_IN void stand_in_vnni(stand_in_ints *sums, const uint8_t *x, const int8_t *w) {
    for (int o = 0; o < 8; o++)
        for (int k = 0; k < 4; k++) sums->at[o] += x[4 * o + k] * w[4 * o + k];
}

__attribute__((target("avx2"), unused)) static inline __m256i stand_in_avx_vnni(__m256i sums,
                                                                                  __m256i x,
                                                                                  __m256i w) {
    stand_in_ints made;
    uint8_t inputs[32];
    int8_t weights[32];
    memcpy(&made, &sums, sizeof made);
    memcpy(inputs, &x, sizeof inputs);
    memcpy(weights, &w, sizeof weights);
    stand_in_vnni(&made, inputs, weights);
    memcpy(&sums, &made, sizeof made);
    return sums;
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbf16ps
#undef _mm256_dpbusd_avx_epi32
#define _tile_loadconfig stand_in_config
#define _tile_release stand_in_release
#define _tile_zero stand_in_zero
#define _tile_loadd stand_in_load
#define _tile_stored stand_in_store
#define _tile_dpbusd stand_in_dpbusd
#define _tile_dpbf16ps stand_in_dpbf16ps
#define _mm256_dpbusd_avx_epi32 stand_in_avx_vnni
