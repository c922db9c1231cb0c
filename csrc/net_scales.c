/* See net_scales.h. */
#include "net_scales.h"

/* Vectors are returned by inlined functions only, so that no calling convention is involved. */
#pragma GCC diagnostic ignored "-Wpsabi"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "observe.h"
#include "platform.h"
#include "rng.h"

enum { LANES = 8, ROWS = 4, OUTS = 2 };

typedef float floats __attribute__((vector_size(4 * LANES)));

void zf_net_calibration_positions(zf_obs out[ZF_NET_CALIBRATION]) {
    const uint64_t seed = 42;
    for (uint64_t game = 0; game < ZF_NET_CALIBRATION; game++) {
        const int64_t row = 0;
        zf_state s;
        zf_deal(&s, seed, ZF_STREAM_DEAL, game);
        for (uint64_t ply = 0; ply < game % ZF_N_PLIES; ply++)
            zf_random_plays(&s, &row, &game, 1, seed, ZF_STREAM_PLAY);
        zf_observe(&out[game], &s);
    }
}

ZF_INLINE float sum(const floats *x) {
    float half[4];
    for (int i = 0; i < 4; i++) half[i] = (*x)[i] + (*x)[i + 4];
    return (half[0] + half[2]) + (half[1] + half[3]);
}

ZF_INLINE floats load(const float *from) {
    floats made;
    memcpy(&made, from, sizeof made);
    return made;
}

/* out[r][o] of so many rows and outputs, added to what is there. */
ZF_INLINE void products(float *out, const float *in, const zf_linear *map, uint32_t o, int rows) {
    const size_t width = map->n_in;
    floats sums[ROWS][OUTS] = {{{0}}};
    for (size_t k = 0; k < width; k += LANES) {
        floats w[OUTS];
        for (int c = 0; c < OUTS; c++) w[c] = load(&map->weight[(o + (size_t)c) * width + k]);
        for (int r = 0; r < rows; r++) {
            floats x = load(&in[(size_t)r * width + k]);
            for (int c = 0; c < OUTS; c++) sums[r][c] += x * w[c];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < OUTS; c++)
            out[(size_t)r * width + o + (size_t)c] += sum(&sums[r][c]) + map->bias[o + (size_t)c];
}

/* out [n][width] += the map over in [n][width]. */
ZF_HOT static void apply(float *out, const float *in, const zf_linear *map, size_t n) {
    for (size_t r = 0; r < n; r += ROWS) {
        const size_t at = r * map->n_in;
        for (uint32_t o = 0; o < map->n_out; o += OUTS) {
            if (r + ROWS <= n) products(out + at, in + at, map, o, ROWS);
            else
                for (size_t i = r; i < n; i++)
                    products(out + i * map->n_in, in + i * map->n_in, map, o, 1);
        }
    }
}

ZF_INLINE void norm_row(float *out, const float *x, size_t width) {
    floats total = {0}, squares = {0};
    for (size_t k = 0; k < width; k += LANES) total += load(&x[k]);
    const float mean = sum(&total) / (float)width;
    for (size_t k = 0; k < width; k += LANES) {
        floats off = load(&x[k]) - mean;
        squares += off * off;
    }
    const float factor = 1.0f / sqrtf(sum(&squares) / (float)width + 1e-5f);
    for (size_t k = 0; k < width; k++) out[k] = (x[k] - mean) * factor;
}

ZF_HOT static void norm(float *out, const float *x, size_t width, size_t n) {
    for (size_t r = 0; r < n; r++, x += width, out += width) norm_row(out, x, width);
}

/* Column by column over [n][width]. */
static void range(float *low, float *high, const float *x, size_t width, size_t n) {
    memcpy(low, x, width * sizeof *low);
    memcpy(high, x, width * sizeof *high);
    for (size_t i = width; i < n * width; i++) {
        size_t k = i % width;
        if (!(x[i] >= low[k])) low[k] = x[i]; /* so that what is no number stays */
        if (!(x[i] <= high[k])) high[k] = x[i];
    }
}

bool zf_net_calibrate(const zf_net_weights *w, const zf_obs *obs, size_t n, float *low, float *high,
                      float *hidden) {
    const size_t width = w->shape.width, size = n * width;
    float *x = malloc(3 * size * sizeof *x), *in = x + size, *middle = in + size;
    const size_t n_bits = zf_net_bits(&w->shape);
    if (!x || n == 0 ||
        zf_first_layer(x, obs, n, w->table, w->first_bias, n_bits, width) < n) {
        free(x);
        return false;
    }
    for (uint32_t i = 0; i < w->shape.n_blocks; i++, low += width, high += width, hidden += width) {
        norm(in, x, width, n);
        range(low, high, in, width, n);
        memset(middle, 0, size * sizeof *middle);
        apply(middle, in, &w->up[i], n);
        for (size_t k = 0; k < size; k++)
            if (middle[k] < 0.0f) middle[k] = 0.0f;
        range(in, hidden, middle, width, n);
        apply(x, middle, &w->down[i], n);
    }
    free(x);
    return true;
}

bool zf_net_scales_sound(const zf_net_scales *s, const zf_net_shape *shape) {
    const float limit = 1e12f; /* far above any number in use, far below what overflows */
    if (!s || !s->low || !s->high || !s->hidden) return false;
    for (size_t i = 0; i < (size_t)shape->n_blocks * shape->width; i++) {
        bool norm_can = s->low[i] >= -limit && s->low[i] <= s->high[i] && s->high[i] <= limit;
        if (!norm_can || !(s->hidden[i] >= 0.0f && s->hidden[i] <= limit)) return false;
    }
    return true;
}
