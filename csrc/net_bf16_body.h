/* The bf16 residual blocks in vectors of AVX-512: included by the file of each kernel, which defines
 * BF16(name), the name with the kernel's ending, and BF16_TARGET before. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "platform.h"

#define BF16_INLINE ZF_INLINE BF16_TARGET

enum { BF16(ROWS) = 6, BF16(PANELS) = 4, BF16(SIDE) = 4 };

/* Sixteen numbers to one: the upper half onto the lower, until one is left. */
BF16_INLINE float BF16(sum)(__m512 x) {
    __m256 eight = _mm256_add_ps(
        _mm512_castps512_ps256(x),
        _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1)));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

BF16_INLINE void BF16(put)(uint16_t *to, __m512 x) {
    __m256bh narrow = _mm512_cvtneps_pbh(x);
    memcpy(to, &narrow, sizeof narrow);
}

/* Normed rows of x, so many side by side that none waits for its own sums. */
BF16_INLINE void BF16(norm)(uint16_t *to, size_t depth, const float *x, size_t width, int rows) {
    __m512 sum[BF16(SIDE)], squares[BF16(SIDE)];
    float mean[BF16(SIDE)], factor[BF16(SIDE)];
    for (int r = 0; r < rows; r++) sum[r] = squares[r] = _mm512_setzero_ps();
    for (size_t i = 0; i < width; i += ZF_BF16_PANEL)
        for (int r = 0; r < rows; r++)
            sum[r] = _mm512_add_ps(sum[r], _mm512_loadu_ps(&x[(size_t)r * width + i]));
    for (int r = 0; r < rows; r++) mean[r] = BF16(sum)(sum[r]) / (float)width;
    for (size_t i = 0; i < width; i += ZF_BF16_PANEL)
        for (int r = 0; r < rows; r++) {
            __m512 off = _mm512_sub_ps(_mm512_loadu_ps(&x[(size_t)r * width + i]),
                                       _mm512_set1_ps(mean[r]));
            squares[r] = _mm512_add_ps(squares[r], _mm512_mul_ps(off, off));
        }
    for (int r = 0; r < rows; r++)
        factor[r] = 1.0f / sqrtf(BF16(sum)(squares[r]) / (float)width + 1e-5f);
    for (size_t i = 0; i < width; i += ZF_BF16_PANEL)
        for (int r = 0; r < rows; r++) {
            __m512 off = _mm512_sub_ps(_mm512_loadu_ps(&x[(size_t)r * width + i]),
                                       _mm512_set1_ps(mean[r]));
            BF16(put)(&to[(size_t)r * depth + i], _mm512_mul_ps(off, _mm512_set1_ps(factor[r])));
        }
}

BF16_TARGET static void BF16(norm_rows)(uint16_t *to, size_t depth, const float *x, size_t width,
                                        size_t n) {
    size_t r = 0;
    for (; r + BF16(SIDE) <= n; r += BF16(SIDE))
        BF16(norm)(&to[r * depth], depth, &x[r * width], width, BF16(SIDE));
    for (; r < n; r++) BF16(norm)(&to[r * depth], depth, &x[r * width], width, 1);
}

/* One map over rows; the sums are added to x, or else, if positive, become inputs of the next. */
typedef struct {
    const uint16_t *in, *weights;
    const float *bias;
    uint16_t *out;
    float *x;
    size_t width, depth;
} BF16(map);

/* What becomes of the sums of a row from one column on. */
BF16_INLINE void BF16(finish)(const BF16(map) *m, size_t row, size_t column, __m512 sums) {
    if (m->x) {
        float *x = &m->x[row * m->width + column];
        _mm512_storeu_ps(x, _mm512_add_ps(_mm512_loadu_ps(x), sums));
    } else {
        /* In this order of operands what is no number stays so. */
        BF16(put)(&m->out[row * m->depth + column], _mm512_max_ps(_mm512_setzero_ps(), sums));
    }
}

#ifdef BF16_RUN_MAP
BF16_TARGET static void BF16_RUN_MAP(const BF16(map) *m, size_t n); /* the kernel's own */
#else
#define BF16_RUN_MAP BF16(run_map)

/* Sums of so many rows and panels; both are constants. */
BF16_INLINE void BF16(tile)(const BF16(map) *m, size_t row, size_t panel, int rows, int panels) {
    __m512 sums[BF16(ROWS)][BF16(PANELS)];
    const size_t size = m->depth * ZF_BF16_PANEL;
    const uint16_t *in = m->in + row * m->depth, *weights = m->weights + panel * size;
    for (int p = 0; p < panels; p++)
        for (int r = 0; r < rows; r++)
            sums[r][p] = _mm512_loadu_ps(&m->bias[(panel + (size_t)p) * ZF_BF16_PANEL]);
    for (size_t k = 0; k < m->width; k += 2) {
        __m512i w[BF16(PANELS)];
        for (int p = 0; p < panels; p++)
            w[p] = _mm512_loadu_si512(&weights[(size_t)p * size + k * ZF_BF16_PANEL]);
        for (int r = 0; r < rows; r++) {
            int two;
            memcpy(&two, &in[(size_t)r * m->depth + k], sizeof two);
            __m512i x = _mm512_set1_epi32(two);
            for (int p = 0; p < panels; p++)
                sums[r][p] = _mm512_dpbf16_ps(sums[r][p], (__m512bh)x, (__m512bh)w[p]);
        }
    }
    for (int p = 0; p < panels; p++)
        for (int r = 0; r < rows; r++)
            BF16(finish)(m, row + (size_t)r, (panel + (size_t)p) * ZF_BF16_PANEL, sums[r][p]);
}

#define BF16_CASE(rows) case rows: BF16(tile)(m, row, panel, rows, BF16(PANELS)); break

BF16_TARGET static void BF16(run_map)(const BF16(map) *m, size_t n) {
    const size_t n_panels = m->width / ZF_BF16_PANEL;
    size_t panel = 0;
    for (; panel + BF16(PANELS) <= n_panels; panel += BF16(PANELS)) {
        size_t row = 0;
        for (; row + BF16(ROWS) <= n; row += BF16(ROWS))
            BF16(tile)(m, row, panel, BF16(ROWS), BF16(PANELS));
        switch (n - row) {
            BF16_CASE(1);
            BF16_CASE(2);
            BF16_CASE(3);
            BF16_CASE(4);
            BF16_CASE(5);
        default: break;
        }
    }
    for (; panel < n_panels; panel++)
        for (size_t row = 0; row < n; row++) BF16(tile)(m, row, panel, 1, 1);
}
#undef BF16_CASE
#endif

BF16_TARGET static void BF16(run)(const void *packed, const zf_net_shape *shape, float *x, size_t n,
                                  void *scratch) {
    const size_t width = shape->width, depth = zf_bf16_depth(shape);
    uint16_t *in = scratch, *hidden = in + ZF_NET_ROWS * depth;
    for (size_t r = 0; r < n && depth > width; r++) { /* 0 times no number is none */
        memset(&in[r * depth + width], 0, (depth - width) * sizeof *in);
        memset(&hidden[r * depth + width], 0, (depth - width) * sizeof *hidden);
    }
    for (uint32_t i = 0; i < shape->n_blocks; i++) {
        zf_bf16_block b = zf_bf16_block_at(packed, shape, i);
        BF16(norm_rows)(in, depth, x, width, n);
        BF16_RUN_MAP(&(BF16(map)){in, b.up, b.up_bias, hidden, NULL, width, depth}, n);
        BF16_RUN_MAP(&(BF16(map)){hidden, b.down, b.down_bias, NULL, x, width, depth}, n);
    }
}
