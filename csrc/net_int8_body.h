/* The int8 residual blocks for one instruction set: included by the file of each kernel, which
 * defines before
 *
 *     INT8(name)      the name with the kernel's ending
 *     INT8_TARGET     the attribute that allows its instructions
 *     INT8_LANES      4, 8 or 16 numbers in a vector: INT8(vec), INT8(ivec)
 *     INT8_ROWS, INT8_GROUPS    rows (up to 6) and vectors of outputs summed at a time
 *     INT8(input)     a stored input; INT8_UP_ZERO, INT8_DOWN_ZERO: what stands for 0 in it
 *     INT8(max)       the larger of two INT8(ivec), number by number
 *     INT8(put)       stores 16 inputs, given as floats whose low bits they are
 *     INT8(sums)      sums of INT8_LANES outputs: INT8(start) makes them, INT8(add) adds the
 *                     products of INT8(broadcast) four inputs and INT8(four) weights of each
 *                     output, INT8(total) gives them
 *
 * Everything here is done for every row alone, in one order, whatever the lanes. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "platform.h"

#define INT8_INLINE ZF_INLINE INT8_TARGET
#define INT8_PARTS (ZF_INT8_PANEL / INT8_LANES)

INT8_INLINE INT8(vec) INT8(load)(const float *from) {
    INT8(vec) made;
    memcpy(&made, from, sizeof made);
    return made;
}

INT8_INLINE void INT8(store)(float *to, INT8(vec) from) { memcpy(to, &from, sizeof from); }

INT8_INLINE INT8(vec) INT8(each)(float x) { return x - (INT8(vec)){0}; }

/* Sixteen numbers to one: the upper half onto the lower, until one is left. */
INT8_INLINE float INT8(sum)(const INT8(vec) from[INT8_PARTS]) {
    zf_floats4 x[4];
    memcpy(x, from, sizeof x);
    zf_floats4 four = (x[0] + x[2]) + (x[1] + x[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

INT8_INLINE float INT8(largest)(const INT8(ivec) from[INT8_PARTS]) {
    int32_t x[ZF_INT8_PANEL], most = 0;
    float found;
    memcpy(x, from, sizeof x);
    for (int i = 0; i < ZF_INT8_PANEL; i++) most = x[i] > most ? x[i] : most;
    memcpy(&found, &most, sizeof found);
    return found;
}

enum { INT8(SIDE) = 4 }; /* rows side by side, so that none waits for its own sums */

/* Rows of floats as whole numbers up to `most`, stored with `zero` added, and the scale of each. */
INT8_INLINE void INT8(round)(INT8(input) *to, size_t depth, float *scale, const float *from,
                             size_t width, int rows, float most, float zero) {
    const INT8(ivec) magnitude = (INT8(ivec)){0} + INT32_MAX;
    /* 1.5 * 2^23: adding it rounds to a whole number, to even at a half, which is in the low bits. */
    const INT8(vec) magic = INT8(each)(12582912.0f + zero);
    INT8(ivec) top[INT8(SIDE)][INT8_PARTS] = {{{0}}};
    float factor[INT8(SIDE)];
    /* Magnitudes compare as whole numbers do, and what is no number is above all that are. */
    for (size_t i = 0; i < width; i += ZF_INT8_PANEL)
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < INT8_PARTS; p++) {
                INT8(vec) x = INT8(load)(&from[(size_t)r * width + i + (size_t)p * INT8_LANES]);
                top[r][p] = INT8(max)((INT8(ivec))x & magnitude, top[r][p]);
            }
    for (int r = 0; r < rows; r++) {
        float largest = INT8(largest)(top[r]);
        /* Numbers so small that the quotient may not be finite count as zero. So does a row that
         * is not finite; its x is not either and stays so. */
        bool usable = largest > 1e-30f && largest <= FLT_MAX;
        scale[r] = usable ? largest / most : 0.0f;
        factor[r] = usable ? most / largest : NAN;
    }
    for (int r = 0; r < rows; r++, to += depth, from += width)
        for (size_t i = 0; i < width; i += ZF_INT8_PANEL) {
            INT8(vec) x[INT8_PARTS];
            for (int p = 0; p < INT8_PARTS; p++) {
                x[p] = INT8(load)(&from[i + (size_t)p * INT8_LANES]) * factor[r] + magic;
                if (factor[r] != factor[r]) x[p] = magic;
            }
            INT8(put)(&to[i], x);
        }
}

/* Rows of x, normed, shifted and divided. */
INT8_INLINE void INT8(norm)(float *to, const float *x, size_t width, const zf_int8_block *b,
                            int rows) {
    INT8(vec) sum[INT8(SIDE)][INT8_PARTS] = {{{0}}}, squares[INT8(SIDE)][INT8_PARTS] = {{{0}}};
    float mean[INT8(SIDE)], factor[INT8(SIDE)];
    for (size_t i = 0; i < width; i += ZF_INT8_PANEL)
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < INT8_PARTS; p++)
                sum[r][p] += INT8(load)(&x[(size_t)r * width + i + (size_t)p * INT8_LANES]);
    for (int r = 0; r < rows; r++) mean[r] = INT8(sum)(sum[r]) / (float)width;
    for (size_t i = 0; i < width; i += ZF_INT8_PANEL)
        for (int r = 0; r < rows; r++)
            for (int p = 0; p < INT8_PARTS; p++) {
                size_t at = (size_t)r * width + i + (size_t)p * INT8_LANES;
                INT8(vec) off = INT8(load)(&x[at]) - mean[r];
                squares[r][p] += off * off;
            }
    for (int r = 0; r < rows; r++)
        factor[r] = 1.0f / sqrtf(INT8(sum)(squares[r]) / (float)width + 1e-5f);
    for (size_t i = 0; i < width; i += INT8_LANES) {
        INT8(vec) gain = INT8(load)(&b->gain[i]), shift = INT8(load)(&b->shift[i]);
        for (int r = 0; r < rows; r++) {
            INT8(vec) normed = (INT8(load)(&x[(size_t)r * width + i]) - mean[r]) * factor[r];
            INT8(store)(&to[(size_t)r * width + i], normed * gain - shift);
        }
    }
}

/* Inputs of up of n rows of x, and their scales. `spare` has room for a few rows of floats. */
INT8_TARGET static void INT8(norm_rows)(INT8(input) *to, size_t depth, float *scale,
                                        const float *x, size_t width, size_t n,
                                        const zf_int8_block *b, float *spare) {
    size_t r = 0;
    for (; r + INT8(SIDE) <= n; r += INT8(SIDE)) {
        INT8(norm)(spare, &x[r * width], width, b, INT8(SIDE));
        INT8(round)(&to[r * depth], depth, &scale[r], spare, width, INT8(SIDE), ZF_INT8_SIGNED,
                    INT8_UP_ZERO);
    }
    for (; r < n; r++) {
        INT8(norm)(spare, &x[r * width], width, b, 1);
        INT8(round)(&to[r * depth], depth, &scale[r], spare, width, 1, ZF_INT8_SIGNED,
                    INT8_UP_ZERO);
    }
}

/* Inputs of down of n rows of hidden numbers, and their scales. */
INT8_TARGET static void INT8(round_rows)(INT8(input) *to, size_t depth, float *scale,
                                         const float *hidden, size_t width, size_t n) {
    size_t r = 0;
    for (; r + INT8(SIDE) <= n; r += INT8(SIDE))
        INT8(round)(&to[r * depth], depth, &scale[r], &hidden[r * width], width, INT8(SIDE),
                    ZF_INT8_UNSIGNED, INT8_DOWN_ZERO);
    for (; r < n; r++)
        INT8(round)(&to[r * depth], depth, &scale[r], &hidden[r * width], width, 1,
                    ZF_INT8_UNSIGNED, INT8_DOWN_ZERO);
}

/* One map over rows: where its weights and inputs are, and what becomes of the sums. */
typedef struct {
    const INT8(input) *in;
    const int8_t *weights;
    const int32_t *start; /* of the sums, or NULL: 0 */
    const float *row_scale, *scale, *bias;
    float *out;
    bool add; /* to what is there, or else relu */
    size_t width, depth;
} INT8(map);

/* y, or 0 where its sign bit is set. */
INT8_INLINE INT8(vec) INT8(positive)(INT8(vec) y) {
    return (INT8(vec))INT8(max)((INT8(ivec))y, (INT8(ivec)){0});
}

/* What becomes of the sums of a row from one column on. */
INT8_INLINE void INT8(finish)(const INT8(map) *m, size_t row, size_t column, INT8(ivec) sums) {
    float *out = &m->out[row * m->width + column];
    INT8(vec) y = __builtin_convertvector(sums, INT8(vec)) * m->row_scale[row] *
                      INT8(load)(&m->scale[column]) +
                  INT8(load)(&m->bias[column]);
    INT8(store)(out, m->add ? INT8(load)(out) + y : INT8(positive)(y));
}

/* Sums of so many rows and vectors of outputs from one place on; both are constants. */
INT8_INLINE void INT8(tile)(const INT8(map) *m, size_t row, size_t group, int rows, int groups) {
    INT8(sums) sums[INT8_ROWS][INT8_GROUPS];
    const int8_t *weights[INT8_GROUPS];
    const size_t panel = m->depth * ZF_INT8_PANEL;
    for (int g = 0; g < groups; g++) {
        size_t at = group + (size_t)g;
        weights[g] = m->weights + at / INT8_PARTS * panel +
                     at % INT8_PARTS * INT8_LANES * ZF_INT8_GROUP;
        INT8(ivec) start = {0};
        if (m->start) memcpy(&start, &m->start[at * INT8_LANES], sizeof start);
        for (int r = 0; r < rows; r++) sums[r][g] = INT8(start)(start);
    }
    const INT8(input) *in = m->in + row * m->depth;
    for (size_t k = 0; k < m->width; k += ZF_INT8_GROUP) {
        INT8(weights) w[INT8_GROUPS];
        for (int g = 0; g < groups; g++)
            w[g] = INT8(four)(weights[g] + k * ZF_INT8_PANEL);
        for (int r = 0; r < rows; r++) {
            INT8(broad) x = INT8(broadcast)(&in[(size_t)r * m->depth + k]);
            for (int g = 0; g < groups; g++) INT8(add)(&sums[r][g], x, w[g]);
        }
    }
    for (int g = 0; g < groups; g++)
        for (int r = 0; r < rows; r++)
            INT8(finish)(m, row + (size_t)r, (group + (size_t)g) * INT8_LANES,
                         INT8(total)(sums[r][g]));
}

#define INT8_CASE(rows)                                                                \
    case rows:                                                                                     \
        if (rows < INT8_ROWS) INT8(tile)(m, row, group, rows, INT8_GROUPS);                        \
        break

INT8_TARGET static void INT8(run_map)(const INT8(map) *m, size_t n) {
    const size_t n_groups = m->width / INT8_LANES;
    size_t group = 0;
    for (; group + INT8_GROUPS <= n_groups; group += INT8_GROUPS) {
        size_t row = 0;
        for (; row + INT8_ROWS <= n; row += INT8_ROWS)
            INT8(tile)(m, row, group, INT8_ROWS, INT8_GROUPS);
        switch (n - row) {
            INT8_CASE(1);
            INT8_CASE(2);
            INT8_CASE(3);
            INT8_CASE(4);
            INT8_CASE(5);
        default: break;
        }
    }
    for (; group < n_groups; group++)
        for (size_t row = 0; row < n; row++) INT8(tile)(m, row, group, 1, 1);
}
#undef INT8_CASE

#ifdef INT8_RUN_MAP
INT8_TARGET static void INT8_RUN_MAP(const INT8(map) *m, size_t n); /* the kernel's own */
#else
#define INT8_RUN_MAP INT8(run_map)
#endif

INT8_TARGET static void INT8(run)(const void *packed, const zf_net_shape *shape, float *x, size_t n,
                                  void *scratch) {
    const size_t width = shape->width, depth = zf_int8_depth(shape);
    INT8(input) *in = scratch;
    float *hidden = (float *)(in + ZF_NET_ROWS * depth), *scale = hidden + ZF_NET_ROWS * width;
    for (uint32_t i = 0; i < shape->n_blocks; i++) {
        zf_int8_block b = zf_int8_block_at(packed, shape, i);
        INT8(norm_rows)(in, depth, scale, x, width, n, &b, hidden);
        INT8_RUN_MAP(&(INT8(map)){in, b.up, INT8_UP_ZERO ? b.up_start : NULL, scale,
                                   b.up_scale, b.up_bias, hidden, false, width, depth}, n);
        INT8(round_rows)(in, depth, scale, hidden, width, n);
        INT8_RUN_MAP(&(INT8(map)){in, b.down, INT8_DOWN_ZERO ? b.down_start : NULL, scale,
                                   b.down_scale, b.down_bias, x, true, width, depth}, n);
    }
}
