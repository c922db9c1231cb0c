/* See net_int8.h. Here: packing, and the kernel for any processor. */
#include "net_int8.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "platform.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

uint32_t zf_int8_depth(const zf_net_shape *s) {
    return (s->width + ZF_INT8_DEPTH - 1) / ZF_INT8_DEPTH * ZF_INT8_DEPTH;
}

/* --- how packed is laid out --- */

enum { FLOATS = 6, STARTS = 2 }; /* arrays of a block that are [width] */

static size_t map_bytes(const zf_net_shape *s) { return (size_t)s->width * zf_int8_depth(s); }

static size_t block_bytes(const zf_net_shape *s) {
    /* A multiple of 64, for widths are one of 16. */
    return 2 * map_bytes(s) + (FLOATS + STARTS) * sizeof(float) * (size_t)s->width;
}

size_t zf_int8_packed_bytes(const zf_net_shape *s) { return s->n_blocks * block_bytes(s); }

zf_int8_block zf_int8_block_at(const void *packed, const zf_net_shape *s, uint32_t block) {
    const int8_t *weights = (const int8_t *)packed + block * block_bytes(s);
    const float *f = (const float *)(const void *)(weights + 2 * map_bytes(s));
    const int32_t *starts = (const int32_t *)(const void *)(f + FLOATS * (size_t)s->width);
    const size_t w = s->width;
    return (zf_int8_block){
        .up = weights, .down = weights + map_bytes(s), .gain = f, .shift = f + w,
        .up_scale = f + 2 * w, .up_bias = f + 3 * w, .down_scale = f + 4 * w,
        .down_bias = f + 5 * w, .up_start = starts, .down_start = starts + w,
    };
}

/* The same place, to be written. */
#define WRITABLE(type, at) ((type *)(uintptr_t)(at))

size_t zf_int8_scratch_bytes(const zf_net_shape *s) {
    /* Inputs are 8 or 16 bits each. */
    size_t row = sizeof(int16_t) * zf_int8_depth(s) + sizeof(float) * (size_t)s->width;
    return ZF_NET_ROWS * (row + sizeof(float));
}

/* --- packing --- */

/* What an input is divided by: between its own size and that of its weights, as roots give exactly
 * the same everywhere: size^(3/4) / weight^(1/4). */
static float divisor(float size, float weight) {
    return sqrtf(size * sqrtf(size)) / sqrtf(sqrtf(weight));
}

static float largest(const float *x, size_t n) {
    float most = 0.0f;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* Divisors [width] of a map's inputs whose sizes are given; sizes far below the largest count as
 * more, since a position unlike the calibration's may use them. */
static void divisors(float *out, const float *size, const zf_linear *map, float least) {
    float most = largest(size, map->n_in);
    float heaviest = largest(map->weight, (size_t)map->n_in * map->n_out);
    for (uint32_t k = 0; k < map->n_in; k++) {
        float weight = 0.0f;
        for (uint32_t o = 0; o < map->n_out; o++)
            weight = fmaxf(weight, fabsf(map->weight[(size_t)o * map->n_in + k]));
        out[k] = 1.0f;
        if (most > 0.0f && heaviest > 0.0f)
            out[k] = divisor(fmaxf(size[k], least * most), fmaxf(weight, 0.01f * heaviest));
    }
}

/* A map's weights times the divisors of its inputs, as bytes with one scale an output. */
static void pack_map(int8_t *to, float *scale, int32_t *start, int32_t start_of_one,
                     const zf_linear *map, const float *divided_by, uint32_t depth) {
    memset(to, 0, (size_t)map->n_out * depth);
    for (uint32_t o = 0; o < map->n_out; o++) {
        const float *weight = &map->weight[(size_t)o * map->n_in];
        int8_t *panel = to + (size_t)(o / ZF_INT8_PANEL) * ZF_INT8_PANEL * depth;
        float most = 0.0f;
        int32_t sum = 0;
        for (uint32_t k = 0; k < map->n_in; k++)
            most = fmaxf(most, fabsf(weight[k] * divided_by[k]));
        scale[o] = most / ZF_INT8_SIGNED;
        bool any = scale[o] >= FLT_MIN && isfinite(most);
        if (!any) scale[o] = 0.0f;
        for (uint32_t k = 0; k < map->n_in; k++) {
            int8_t q = any ? (int8_t)rintf(weight[k] * divided_by[k] / scale[o]) : 0;
            size_t group = k / ZF_INT8_GROUP * ZF_INT8_PANEL + o % ZF_INT8_PANEL;
            panel[group * ZF_INT8_GROUP + k % ZF_INT8_GROUP] = q;
            sum += q;
        }
        start[o] = start_of_one * sum;
    }
}

static bool all_finite(const zf_linear *map) {
    for (size_t i = 0; i < (size_t)map->n_in * map->n_out; i++)
        if (!isfinite(map->weight[i])) return false;
    for (uint32_t o = 0; o < map->n_out; o++)
        if (!isfinite(map->bias[o])) return false;
    return true;
}

static void pack_block(const zf_int8_block *b, const zf_linear *up, const zf_linear *down,
                       const float *low, const float *high, const float *hidden, uint32_t depth) {
    const uint32_t width = up->n_in;
    float *gain = WRITABLE(float, b->gain), *shift = WRITABLE(float, b->shift);
    float *up_scale = WRITABLE(float, b->up_scale), *up_bias = WRITABLE(float, b->up_bias);
    float *down_bias = WRITABLE(float, b->down_bias);
    float *size = shift, *of_up = gain, *of_down = down_bias; /* until these are written */
    for (uint32_t k = 0; k < width; k++) size[k] = 0.5f * (high[k] - low[k]);
    divisors(of_up, size, up, 0.1f);
    divisors(of_down, hidden, down, 0.3f);
    pack_map(WRITABLE(int8_t, b->up), up_scale, WRITABLE(int32_t, b->up_start), -128, up, of_up,
             depth);
    pack_map(WRITABLE(int8_t, b->down), WRITABLE(float, b->down_scale),
             WRITABLE(int32_t, b->down_start), 128, down, of_down, depth);
    for (uint32_t o = 0; o < width; o++) {
        double bias = up->bias[o];
        for (uint32_t k = 0; k < width; k++)
            bias += (double)up->weight[(size_t)o * width + k] * (0.5f * (high[k] + low[k]));
        up_scale[o] /= of_down[o];
        up_bias[o] = (float)(bias / of_down[o]);
    }
    /* Numbers that are not finite must not be lost in what is rounded: every answer shows them. */
    float poison = all_finite(up) && all_finite(down) ? 0.0f : NAN;
    for (uint32_t k = 0; k < width; k++) {
        gain[k] = 1.0f / of_up[k];
        shift[k] = 0.5f * (high[k] + low[k]) * gain[k];
        down_bias[k] = down->bias[k] + poison;
    }
}

void zf_int8_pack(void *packed, const zf_net_weights *w, const zf_net_scales *scales) {
    for (uint32_t i = 0; i < w->shape.n_blocks; i++) {
        zf_int8_block b = zf_int8_block_at(packed, &w->shape, i);
        size_t at = (size_t)i * w->shape.width;
        pack_block(&b, &w->up[i], &w->down[i], scales->low + at, scales->high + at,
                   scales->hidden + at, zf_int8_depth(&w->shape));
    }
}

/* --- the kernel for any processor --- */

#pragma GCC diagnostic ignored "-Wpsabi"

#define INT8(name) name##_baseline
#define INT8_TARGET
#define INT8_LANES 4
#define INT8_ROWS 4
#define INT8_GROUPS 1
#define INT8_UP_ZERO 0
#define INT8_DOWN_ZERO 0

typedef int16_t INT8(input);
typedef zf_floats4 INT8(vec);
typedef zf_ints4 INT8(ivec);

ZF_INLINE zf_ints4 INT8(max)(zf_ints4 a, zf_ints4 b) {
    zf_ints4 more = a > b;
    return (a & more) | (b & ~more);
}
ZF_INLINE void INT8(put)(int16_t *to, const zf_floats4 from[4]) {
    int32_t bits[ZF_INT8_PANEL];
    memcpy(bits, from, sizeof bits);
    for (int i = 0; i < ZF_INT8_PANEL; i++) to[i] = (int16_t)bits[i];
}

#if defined(__SSE2__) && !defined(ZF_PLAIN)
/* Of outputs 0 and 1 and of 2 and 3, two halves each: inputs 0 and 1 of four, inputs 2 and 3. */
typedef struct {
    __m128i low, high;
} INT8(sums), INT8(weights);
typedef __m128i INT8(broad);

ZF_INLINE INT8(sums) INT8(start)(zf_ints4 from) {
    (void)from; /* 0, since inputs have no offset */
    return (INT8(sums)){_mm_setzero_si128(), _mm_setzero_si128()};
}
ZF_INLINE zf_ints4 INT8(total)(INT8(sums) s) {
    zf_ints4 low = (zf_ints4)s.low, high = (zf_ints4)s.high;
    return (zf_ints4){low[0] + low[1], low[2] + low[3], high[0] + high[1], high[2] + high[3]};
}
ZF_INLINE INT8(weights) INT8(four)(const int8_t *from) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)from);
    __m128i signs = _mm_cmpgt_epi8(_mm_setzero_si128(), bytes);
    return (INT8(weights)){_mm_unpacklo_epi8(bytes, signs), _mm_unpackhi_epi8(bytes, signs)};
}
ZF_INLINE __m128i INT8(broadcast)(const int16_t *from) {
    int64_t four;
    memcpy(&four, from, sizeof four);
    return _mm_set1_epi64x(four);
}
ZF_INLINE void INT8(add)(INT8(sums) *s, __m128i x, INT8(weights) w) {
    s->low = _mm_add_epi32(s->low, _mm_madd_epi16(x, w.low));
    s->high = _mm_add_epi32(s->high, _mm_madd_epi16(x, w.high));
    __asm__("" : "+x"(s->low), "+x"(s->high)); /* in place: gcc would move each about */
}
#else
typedef zf_ints4 INT8(sums);
typedef const int8_t *INT8(weights);
typedef const int16_t *INT8(broad);

ZF_INLINE zf_ints4 INT8(start)(zf_ints4 from) { return from; }
ZF_INLINE zf_ints4 INT8(total)(zf_ints4 sums) { return sums; }
ZF_INLINE const int8_t *INT8(four)(const int8_t *from) { return from; }
ZF_INLINE const int16_t *INT8(broadcast)(const int16_t *from) { return from; }
ZF_INLINE void INT8(add)(zf_ints4 *sums, const int16_t *x, const int8_t *w) {
    for (int o = 0; o < 4; o++, w += ZF_INT8_GROUP)
        (*sums)[o] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
}
#endif

#include "net_int8_body.h"

static bool INT8(supported)(void) { return true; }

const zf_net_kernel zf_int8_baseline = {
    "int8-baseline", "int8", INT8(supported), zf_int8_packed_bytes, zf_int8_pack,
    zf_int8_scratch_bytes, INT8(run),
};
