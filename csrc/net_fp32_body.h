/* The fp32 kernels of one instruction set of instruction_sets.h.
 *
 * Every output is one chain of sums: its bias, then a product for each input in turn. How many
 * rows and columns share a tile changes nothing in it. */

#define COLUMNS (2 * LANES)
#if MANY_REGISTERS
#define TALL 12 /* rows of a tile of two vectors: so many that the sums stay in registers */
#else
#define TALL 6
#endif

/* Negative numbers become 0; NaN stays. */
SET_INLINE vec SET(relu)(vec v) { return (vec)((ivec)v & ~(v < (vec){0})); }

typedef struct {
    float *out;
    const float *in, *packed;
    size_t out_stride, in_stride, panel; /* numbers from one panel to the next */
    uint32_t n_in, n_out;                /* n_out: columns still to be written */
    zf_sums_to what;
} SET(tile);

/* `rows` by `vectors`: both are constants wherever this is called. */
SET_INLINE void SET(multiply)(const SET(tile) *t, const int rows, const int vectors) {
    vec sum[12][8];
    const float *w[4];
#pragma GCC unroll 4
    for (int p = 0; p < vectors / 2; p++) w[p] = t->packed + (size_t)p * t->panel;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sum[r][v] = load(w[v / 2] + v % 2 * LANES);
    for (uint32_t k = 0; k < t->n_in; k++) {
        vec weight[8];
#pragma GCC unroll 4
        for (int p = 0; p < vectors / 2; p++) w[p] += COLUMNS;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) weight[v] = load(w[v / 2] + v % 2 * LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            vec x = each(t->in[(size_t)r * t->in_stride + k]);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sum[r][v] = MADD(x, weight[v], sum[r][v]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            float *to = t->out + (size_t)r * t->out_stride + v * LANES;
            if ((uint32_t)v * LANES >= t->n_out) continue;
            if (t->what == ZF_RELU) sum[r][v] = SET(relu)(sum[r][v]);
            if (t->what == ZF_ADD) sum[r][v] += load(to);
            store(to, sum[r][v]);
        }
}

#define TILE(rows, vectors)                                                                  \
    SET_TARGET static void SET(tile_##rows##_##vectors)(const SET(tile) *t) {              \
        SET(multiply)(t, rows, vectors);                                                      \
    }
/* Few rows take many columns at once: enough sums under way to hide how long each takes. */
TILE(1, 8) TILE(1, 4) TILE(1, 2) TILE(2, 4) TILE(2, 2) TILE(3, 4) TILE(3, 2)
TILE(4, 2) TILE(5, 2) TILE(6, 2)
#if MANY_REGISTERS
TILE(2, 8) TILE(3, 8) TILE(4, 4) TILE(5, 4) TILE(6, 4)
TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2) TILE(11, 2) TILE(12, 2)
#define WIDER(rows) SET(tile_##rows##_8)
#define WIDE(rows) SET(tile_##rows##_4)
#else
#define WIDER(rows) NULL
#define WIDE(rows) NULL
#endif

typedef void (*SET(multiplier))(const SET(tile) *t);

/* By rows and by vectors: 2, 4, 8. */
static const SET(multiplier) SET(tiles)[TALL + 1][3] = {
    [1] = {SET(tile_1_2), SET(tile_1_4), SET(tile_1_8)},
    [2] = {SET(tile_2_2), SET(tile_2_4), WIDER(2)},
    [3] = {SET(tile_3_2), SET(tile_3_4), WIDER(3)},
    [4] = {SET(tile_4_2), WIDE(4)},
    [5] = {SET(tile_5_2), WIDE(5)},
    [6] = {SET(tile_6_2), WIDE(6)},
#if MANY_REGISTERS
    [7] = {SET(tile_7_2)},
    [8] = {SET(tile_8_2)},
    [9] = {SET(tile_9_2)},
    [10] = {SET(tile_10_2)},
    [11] = {SET(tile_11_2)},
    [12] = {SET(tile_12_2)},
#endif
};

SET_TARGET static void SET(linear)(float *out, size_t out_stride, const float *in,
                                     size_t in_stride, const float *packed, uint32_t n_in,
                                     uint32_t n_out, size_t n, zf_sums_to what) {
    size_t n_tiles = (n + TALL - 1) / TALL, panel = (size_t)(n_in + 1) * COLUMNS;
    if (n == 0) return;
    size_t least = n / n_tiles, taller = n % n_tiles; /* so many tiles have a row more */
    const SET(multiplier) *widest = SET(tiles)[least + (taller > 0)];
    uint32_t n_panels = (n_out + COLUMNS - 1) / COLUMNS;
    for (uint32_t done = 0; done < n_panels;) {
        uint32_t wide = 2, column = done * COLUMNS;
        while (wide > 0 && (!widest[wide] || n_panels - done < 1u << wide)) wide--;
        size_t row = 0;
        for (size_t i = 0; i < n_tiles; i++) {
            size_t rows = least + (i < taller);
            SET(tile) t = {out + row * out_stride + column, in + row * in_stride, packed,
                            out_stride, in_stride, panel, n_in, n_out - column, what};
            SET(tiles)[rows][wide](&t);
            row += rows;
        }
        done += 1u << wide;
        packed += panel << wide;
    }
}

/* Sums of a row in one fixed order whatever the vectors are: 32 chains, whose halves are added up,
 * then halves of halves. */
#define CHAINS (32 / LANES)
#define EVERY _Pragma("GCC unroll 8") for (int v = 0; v < CHAINS; v++)

SET_INLINE float SET(total)(const vec sum[CHAINS]) {
    vec last[CHAINS];
    EVERY last[v] = sum[v];
#pragma GCC unroll 4
    for (int half = CHAINS / 2; half; half /= 2)
#pragma GCC unroll 4
        for (int v = 0; v < half; v++) last[v] += last[v + half];
    return sum_of_lanes(last[0]);
}

SET_TARGET static void SET(norm)(float *out, size_t out_stride, const float *in,
                                   size_t in_stride, size_t width, size_t n) {
    size_t whole = width / 32 * 32; /* half of the chains have one number more, perhaps */
    float share = 1.0f / (float)width;
    for (size_t r = 0; r < n; r++, in += in_stride, out += out_stride) {
        vec sum[CHAINS] = {{0}}, square[CHAINS] = {{0}};
        for (size_t c = 0; c < whole; c += 32)
            EVERY sum[v] += load(&in[c + v * LANES]);
        for (size_t c = whole; c < width; c += LANES)
            sum[(c - whole) / LANES] += load(&in[c]);
        vec mean = each(SET(total)(sum) * share);
        for (size_t c = 0; c < whole; c += 32)
            EVERY {
                vec d = load(&in[c + v * LANES]) - mean;
                square[v] = MADD(d, d, square[v]);
            }
        for (size_t c = whole; c < width; c += LANES) {
            vec d = load(&in[c]) - mean;
            square[(c - whole) / LANES] += d * d;
        }
        vec scale = each(1.0f / sqrtf(SET(total)(square) * share + 1e-5f));
        for (size_t c = 0; c < width; c += LANES)
            store(&out[c], (load(&in[c]) - mean) * scale);
    }
}

static size_t SET(packed_bytes)(const zf_net_shape *s) {
    return 2 * s->n_blocks * sizeof(float) * zf_fp32_packed(s->width, s->width, COLUMNS);
}

static void SET(pack)(void *packed, const zf_net_weights *w, const zf_net_scales *scales) {
    size_t each = zf_fp32_packed(w->shape.width, w->shape.width, COLUMNS);
    float *to = packed;
    (void)scales;
    for (uint32_t b = 0; b < w->shape.n_blocks; b++, to += 2 * each) {
        zf_fp32_pack(to, &w->up[b], COLUMNS);
        zf_fp32_pack(to + each, &w->down[b], COLUMNS);
    }
}

SET_TARGET static void SET(run)(const void *packed, const zf_net_shape *s, float *x, size_t n,
                                  void *scratch) {
    size_t stride = zf_fp32_stride(s->width), each = zf_fp32_packed(s->width, s->width, COLUMNS);
    const float *w = packed;
    float *normed = scratch, *hidden = normed + ZF_NET_ROWS * stride;
    for (uint32_t b = 0; b < s->n_blocks; b++, w += 2 * each) {
        SET(norm)(normed, stride, x, s->width, s->width, n);
        SET(linear)(hidden, stride, normed, stride, w, s->width, s->width, n, ZF_RELU);
        SET(linear)(x, s->width, hidden, stride, w + each, s->width, s->width, n, ZF_ADD);
    }
}

#undef COLUMNS
#undef TALL
#undef TILE
#undef WIDE
#undef WIDER
#undef EVERY
#undef CHAINS
