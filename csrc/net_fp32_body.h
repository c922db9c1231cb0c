/* The fp32 kernels of one instruction set; net_fp32.c reads this file once for each. It defines
 * before:
 *   FP32(name)    the name that a function has in this instruction set
 *   FP32_TARGET   attribute that compiles a function for it
 *   FP32_LANES    floats of a vector: 16, 8 or 4
 *   FP32_TALL     rows of a tile of two vectors: so many that the sums stay in registers
 *   FP32_MADD(a, b, c)  a * b + c
 *
 * Every output is one chain of sums: its bias, then a product for each input in turn. How many
 * rows and columns share a tile changes nothing in it. */

#define INLINE static inline __attribute__((always_inline)) FP32_TARGET
#define vec FP32(vec)
#define ivec FP32(ivec)
#define COLUMNS (2 * FP32_LANES)

typedef float vec __attribute__((vector_size(4 * FP32_LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * FP32_LANES)));

INLINE vec FP32(load)(const float *from) {
    vec made;
    memcpy(&made, from, sizeof made);
    return made;
}

INLINE void FP32(store)(float *to, vec v) { memcpy(to, &v, sizeof v); }

INLINE vec FP32(each)(float x) { return x - (vec){0}; }

/* Negative numbers become 0; NaN stays. */
INLINE vec FP32(relu)(vec v) { return (vec)((ivec)v & ~(v < (vec){0})); }

typedef struct {
    float *out;
    const float *in, *packed;
    size_t out_stride, in_stride, panel; /* numbers from one panel to the next */
    uint32_t n_in, n_out;                /* n_out: columns still to be written */
    zf_sums_to what;
} FP32(tile);

/* `rows` by `vectors`: both are constants wherever this is called. */
INLINE void FP32(multiply)(const FP32(tile) *t, const int rows, const int vectors) {
    vec sum[12][8];
    const float *w[4];
#pragma GCC unroll 4
    for (int p = 0; p < vectors / 2; p++) w[p] = t->packed + (size_t)p * t->panel;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum[r][v] = FP32(load)(w[v / 2] + v % 2 * FP32_LANES);
    for (uint32_t k = 0; k < t->n_in; k++) {
        vec weight[8];
#pragma GCC unroll 4
        for (int p = 0; p < vectors / 2; p++) w[p] += COLUMNS;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) weight[v] = FP32(load)(w[v / 2] + v % 2 * FP32_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            vec x = FP32(each)(t->in[(size_t)r * t->in_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sum[r][v] = FP32_MADD(x, weight[v], sum[r][v]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            float *to = t->out + (size_t)r * t->out_stride + v * FP32_LANES;
            if ((uint32_t)v * FP32_LANES >= t->n_out) continue;
            if (t->what == ZF_RELU) sum[r][v] = FP32(relu)(sum[r][v]);
            if (t->what == ZF_ADD) sum[r][v] += FP32(load)(to);
            FP32(store)(to, sum[r][v]);
        }
}

#define TILE(rows, vectors)                                                                  \
    FP32_TARGET static void FP32(tile_##rows##_##vectors)(const FP32(tile) *t) {              \
        FP32(multiply)(t, rows, vectors);                                                      \
    }
/* Few rows take many columns at once: enough sums under way to hide how long each takes. */
TILE(1, 8) TILE(1, 4) TILE(1, 2) TILE(2, 4) TILE(2, 2) TILE(3, 4) TILE(3, 2)
TILE(4, 2) TILE(5, 2) TILE(6, 2)
#if FP32_TALL == 12
TILE(2, 8) TILE(3, 8) TILE(4, 4) TILE(5, 4) TILE(6, 4)
TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2) TILE(11, 2) TILE(12, 2)
#define WIDER(rows) FP32(tile_##rows##_8)
#define WIDE(rows) FP32(tile_##rows##_4)
#else
#define WIDER(rows) NULL
#define WIDE(rows) NULL
#endif

typedef void (*FP32(multiplier))(const FP32(tile) *t);

/* By rows and by vectors: 2, 4, 8. */
static const FP32(multiplier) FP32(tiles)[FP32_TALL + 1][3] = {
    [1] = {FP32(tile_1_2), FP32(tile_1_4), FP32(tile_1_8)},
    [2] = {FP32(tile_2_2), FP32(tile_2_4), WIDER(2)},
    [3] = {FP32(tile_3_2), FP32(tile_3_4), WIDER(3)},
    [4] = {FP32(tile_4_2), WIDE(4)},
    [5] = {FP32(tile_5_2), WIDE(5)},
    [6] = {FP32(tile_6_2), WIDE(6)},
#if FP32_TALL == 12
    [7] = {FP32(tile_7_2)},
    [8] = {FP32(tile_8_2)},
    [9] = {FP32(tile_9_2)},
    [10] = {FP32(tile_10_2)},
    [11] = {FP32(tile_11_2)},
    [12] = {FP32(tile_12_2)},
#endif
};

FP32_TARGET static void FP32(linear)(float *out, size_t out_stride, const float *in,
                                     size_t in_stride, const float *packed, uint32_t n_in,
                                     uint32_t n_out, size_t n, zf_sums_to what) {
    size_t n_tiles = (n + FP32_TALL - 1) / FP32_TALL, panel = (size_t)(n_in + 1) * COLUMNS;
    if (n == 0) return;
    size_t least = n / n_tiles, taller = n % n_tiles; /* so many tiles have a row more */
    const FP32(multiplier) *widest = FP32(tiles)[least + (taller > 0)];
    uint32_t n_panels = (n_out + COLUMNS - 1) / COLUMNS;
    for (uint32_t done = 0; done < n_panels;) {
        uint32_t wide = 2, column = done * COLUMNS;
        while (wide > 0 && (!widest[wide] || n_panels - done < 1u << wide)) wide--;
        size_t row = 0;
        for (size_t i = 0; i < n_tiles; i++) {
            size_t rows = least + (i < taller);
            FP32(tile) t = {out + row * out_stride + column, in + row * in_stride, packed,
                            out_stride, in_stride, panel, n_in, n_out - column, what};
            FP32(tiles)[rows][wide](&t);
            row += rows;
        }
        done += 1u << wide;
        packed += panel << wide;
    }
}

/* A row's sum in a fixed order whatever the vectors: 32 chains, then halves onto halves. */
typedef struct {
    float lane[32];
} FP32(chains);

INLINE float FP32(total)(FP32(chains) *c) {
    for (int half = 16; half; half /= 2)
        for (int i = 0; i < half; i++) c->lane[i] += c->lane[i + half];
    return c->lane[0];
}

#define EVERY(v) for (int v = 0; v < 32 / FP32_LANES; v++)

FP32_TARGET static void FP32(norm)(float *out, size_t out_stride, const float *in,
                                   size_t in_stride, size_t width, size_t n) {
    for (size_t r = 0; r < n; r++, in += in_stride, out += out_stride) {
        FP32(chains) sums = {{0}}, squares = {{0}};
        vec sum[32 / FP32_LANES] = {{0}}, square[32 / FP32_LANES] = {{0}};
        for (size_t c = 0; c < width; c += FP32_LANES)
            sum[c / FP32_LANES % (32 / FP32_LANES)] += FP32(load)(&in[c]);
        EVERY(v) FP32(store)(&sums.lane[v * FP32_LANES], sum[v]);
        vec mean = FP32(each)(FP32(total)(&sums) / (float)width);
        for (size_t c = 0; c < width; c += FP32_LANES) {
            vec d = FP32(load)(&in[c]) - mean;
            square[c / FP32_LANES % (32 / FP32_LANES)] += d * d;
        }
        EVERY(v) FP32(store)(&squares.lane[v * FP32_LANES], square[v]);
        float variance = FP32(total)(&squares) / (float)width;
        vec scale = FP32(each)(1.0f / sqrtf(variance + 1e-5f));
        for (size_t c = 0; c < width; c += FP32_LANES)
            FP32(store)(&out[c], (FP32(load)(&in[c]) - mean) * scale);
    }
}

static size_t FP32(packed_bytes)(const zf_net_shape *s) {
    return 2 * s->n_blocks * sizeof(float) * zf_fp32_packed(s->width, s->width, COLUMNS);
}

static void FP32(pack)(void *packed, const zf_net_weights *w, const zf_net_scales *scales) {
    size_t each = zf_fp32_packed(w->shape.width, w->shape.width, COLUMNS);
    float *to = packed;
    (void)scales;
    for (uint32_t b = 0; b < w->shape.n_blocks; b++, to += 2 * each) {
        zf_fp32_pack(to, &w->up[b], COLUMNS);
        zf_fp32_pack(to + each, &w->down[b], COLUMNS);
    }
}

FP32_TARGET static void FP32(run)(const void *packed, const zf_net_shape *s, float *x, size_t n,
                                  void *scratch) {
    size_t stride = zf_fp32_stride(s->width), each = zf_fp32_packed(s->width, s->width, COLUMNS);
    const float *w = packed;
    float *normed = scratch, *hidden = normed + ZF_NET_ROWS * stride;
    for (uint32_t b = 0; b < s->n_blocks; b++, w += 2 * each) {
        FP32(norm)(normed, stride, x, s->width, s->width, n);
        FP32(linear)(hidden, stride, normed, stride, w, s->width, s->width, n, ZF_RELU);
        FP32(linear)(x, s->width, hidden, stride, w + each, s->width, s->width, n, ZF_ADD);
    }
}

#undef INLINE
#undef vec
#undef ivec
#undef COLUMNS
#undef TILE
#undef WIDE
#undef WIDER
#undef EVERY
