/* See attention.h.
 *
 * One head of one observation at a time, in vectors of eight floats: keys are transposed once, so
 * that the scores of a query against eight keys are one vector; four queries share every load.
 * What a vector has beyond the tokens is zero keys, left out of the softmax. Sums are taken in
 * one fixed order: the answers do not depend on what else is in a batch. */
#include "attention.h"

#include <math.h>
#include <string.h>

#include "platform.h"
#include "vectors.h"

typedef float vec __attribute__((vector_size(32)));
typedef int32_t ivec __attribute__((vector_size(32)));

enum {
    LANES = 8,
    BLOCKS = ZF_ATTENTION_TOKENS / LANES,
    QUERIES = 4,
};

typedef struct head {
    float q[ZF_ATTENTION_TOKENS][ZF_ATTENTION_WIDTH]; /* divided by sqrt(width) */
    float k[ZF_ATTENTION_WIDTH][ZF_ATTENTION_TOKENS]; /* transposed; zero beyond the tokens */
    float v[ZF_ATTENTION_TOKENS][ZF_ATTENTION_WIDTH];
    float o[ZF_ATTENTION_TOKENS][ZF_ATTENTION_WIDTH];
} head;

ZF_INLINE vec load(const float *from) {
    vec made;
    memcpy(&made, from, sizeof made);
    return made;
}

ZF_INLINE void store(float *to, const vec *from) { memcpy(to, from, sizeof *from); }

ZF_INLINE vec each(float x) { return (vec){x, x, x, x, x, x, x, x}; }

ZF_DEFINE_EXPONENTIAL(ZF_INLINE, exponentiate, vec, ivec)

/* The scores of QUERIES queries from q on, turned into weights that sum to 1. */
ZF_INLINE void weigh(float w[QUERIES][ZF_ATTENTION_TOKENS], const head *h, int q, int n, int blocks,
                     int width) {
    vec s[QUERIES][BLOCKS];
    for (int i = 0; i < QUERIES; i++)
        for (int b = 0; b < blocks; b++)
            s[i][b] = each(0.0f);
    for (int c = 0; c < width; c++)
        for (int b = 0; b < blocks; b++) {
            vec key = load(&h->k[c][b * LANES]);
            for (int i = 0; i < QUERIES; i++)
                s[i][b] += each(h->q[q + i][c]) * key;
        }
    const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7};
    ivec beyond = lane + (blocks - 1) * LANES >= n;
    for (int i = 0; i < QUERIES; i++) {
        vec masked = (vec)(((ivec)each(-INFINITY) & beyond) | ((ivec)s[i][blocks - 1] & ~beyond));
        vec most = s[i][blocks - 1] = masked;
        for (int b = 0; b < blocks - 1; b++) {
            ivec more = most > s[i][b];
            most = (vec)(((ivec)most & more) | ((ivec)s[i][b] & ~more));
        }
        float top = most[0];
        for (int l = 1; l < LANES; l++)
            top = most[l] > top ? most[l] : top;
        vec sum = each(0.0f);
        for (int b = 0; b < blocks; b++) {
            s[i][b] -= each(top);
            exponentiate(&s[i][b]);
            sum += s[i][b];
        }
        float total = 0.0f;
        for (int l = 0; l < LANES; l++)
            total += sum[l];
        for (int b = 0; b < blocks; b++) {
            s[i][b] *= each(1.0f / total);
            store(&w[i][b * LANES], &s[i][b]);
        }
    }
}

/* o[q + i] = the mean of the values under w[i]. */
ZF_INLINE void mix(head *h, float w[QUERIES][ZF_ATTENTION_TOKENS], int q, int n, int width) {
    for (int c = 0; c < width; c += LANES) {
        vec sum[QUERIES];
        for (int i = 0; i < QUERIES; i++)
            sum[i] = each(0.0f);
        for (int j = 0; j < n; j++) {
            vec value = load(&h->v[j][c]);
            for (int i = 0; i < QUERIES; i++)
                sum[i] += each(w[i][j]) * value;
        }
        for (int i = 0; i < QUERIES; i++)
            store(&h->o[q + i][c], &sum[i]);
    }
}

ZF_INLINE void attend_blocks(head *h, int n, int blocks, int width) {
    for (int q = 0; q < n; q += QUERIES) {
        float w[QUERIES][ZF_ATTENTION_TOKENS];
        weigh(w, h, q, n, blocks, width);
        mix(h, w, q, n, width);
    }
}

ZF_INLINE void attend_width(head *h, int n, int width) {
    switch ((n + LANES - 1) / LANES) { /* constants, so that scores stay in registers */
    case 1: attend_blocks(h, n, 1, width); break;
    case 2: attend_blocks(h, n, 2, width); break;
    case 3: attend_blocks(h, n, 3, width); break;
    case 4: attend_blocks(h, n, 4, width); break;
    default: attend_blocks(h, n, BLOCKS, width); break;
    }
}

ZF_INLINE void attend(head *h, int n, int width) {
    if (width == 32)
        attend_width(h, n, 32); /* every published size */
    else
        attend_width(h, n, width);
}

ZF_INLINE float wide(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float made;
    memcpy(&made, &bits, sizeof made);
    return made;
}

/* Rounded to nearest, ties to even; NaN stays NaN. */
ZF_INLINE uint16_t narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

#define AS_IS(x) (x)

/* Both kernels differ only in how a number is read and written. */
#define ATTENTION(READ, WRITE)                                                                     \
    head h;                                                                                        \
    const float scale = 1.0f / sqrtf((float)width);                                                \
    const size_t step = (size_t)n_heads * (size_t)width;                                           \
    for (size_t s = 0; s < n; s++) {                                                               \
        const int length = (int)lengths[s];                                                        \
        const int padded = (length + LANES - 1) / LANES * LANES;                                   \
        for (int at = 0; at < n_heads; at++) {                                                     \
            for (int t = 0; t < length; t++) {                                                     \
                const size_t row = (size_t)t * 3 * step + (size_t)at * (size_t)width;              \
                for (int c = 0; c < width; c++) {                                                  \
                    h.q[t][c] = scale * READ(qkv[row + (size_t)c]);                                \
                    h.v[t][c] = READ(qkv[row + 2 * step + (size_t)c]);                             \
                }                                                                                  \
                for (int c = 0; c < width; c++)                                                    \
                    h.k[c][t] = READ(qkv[row + step + (size_t)c]);                                 \
            }                                                                                      \
            for (int c = 0; c < width; c++)                                                        \
                for (int t = length; t < padded; t++)                                              \
                    h.k[c][t] = h.q[t][c] = 0.0f;                                                  \
            attend(&h, length, width);                                                             \
            for (int t = 0; t < length; t++)                                                       \
                for (int c = 0; c < width; c++)                                                    \
                    out[(size_t)t * step + (size_t)at * (size_t)width + (size_t)c] =               \
                        WRITE(h.o[t][c]);                                                          \
        }                                                                                          \
        qkv += (size_t)length * 3 * step;                                                          \
        out += (size_t)length * step;                                                              \
    }

ZF_HOT void zf_attention(float *out, const float *qkv, const int64_t *lengths, size_t n,
                         int n_heads, int width) {
    ATTENTION(AS_IS, AS_IS)
}

ZF_HOT void zf_attention_bf16(uint16_t *out, const uint16_t *qkv, const int64_t *lengths, size_t n,
                              int n_heads, int width) {
    ATTENTION(wide, narrow)
}
