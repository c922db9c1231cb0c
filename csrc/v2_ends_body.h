/* The two ends of the v2 network for one instruction set of instruction_sets.h. Every sum is taken
 * in the same order in each, without fused products: the same bits everywhere. */

#define VECTORS (16 / LANES) /* of sixteen numbers */
#define UNROLLED _Pragma("GCC unroll 16")
#define EACH_VECTOR UNROLLED for (int v = 0; v < VECTORS; v++)

/* to[0 .. 16 * sixteens) of one row: what is there, plus those rows of the panel. */
SET_INLINE void SET(add_rows)(float *to, const float *from, const float *panel, size_t row,
                              const uint16_t *bit, const uint16_t *end, const int sixteens) {
    vec sum[8];
    UNROLLED for (int v = 0; v < sixteens * VECTORS; v++) sum[v] = load(&from[v * LANES]);
    for (; bit < end; bit++) {
        const float *more = panel + *bit * row;
        UNROLLED for (int v = 0; v < sixteens * VECTORS; v++) sum[v] += load(&more[v * LANES]);
    }
    UNROLLED for (int v = 0; v < sixteens * VECTORS; v++) store(&to[v * LANES], sum[v]);
}

/* As many columns at a time as registers hold where they lie side by side, else a panel. */
SET_TARGET static void SET(add_panels)(float *out, const bit_lists *lists, size_t n,
                                       const zf_first *first) {
    const size_t wide = first->panel == ZF_FIRST_PANEL ? 8 * LANES : ZF_FIRST_PANEL;
    for (size_t column = 0; column < first->width;) {
        size_t left = first->width - column;
        size_t step = left >= wide ? wide : left >= 32 ? 32 : 16;
        const float *panel = first->table + column / ZF_FIRST_PANEL * first->panel +
                             column % ZF_FIRST_PANEL;
        for (size_t i = 0; i < n; i++) {
            const uint16_t *bits = &lists->bits[lists->start[i]];
            const uint16_t *end = bits + lists->count[i];
            float *to = &out[i * first->width + column];
            const float *from = &first->bias[column];
            if (step > 32)
                SET(add_rows)(to, from, panel, first->row, bits, end, LANES / 2);
            else if (step == 32)
                SET(add_rows)(to, from, panel, first->row, bits, end, 2);
            else
                SET(add_rows)(to, from, panel, first->row, bits, end, 1);
        }
        column += step;
    }
}

SET_TARGET static size_t SET(first_layer)(float *out, const zf_obs *obs, size_t n,
                                          const zf_first *first) {
    bit_lists lists;
    for (size_t done = 0; done < n;) {
        size_t listed = fill_lists(&lists, obs + done, n - done, first->n_bits);
        SET(add_panels)(out + done * first->width, &lists, listed, first);
        done += listed;
        if (done < n && !sane(&obs[done])) return done;
    }
    return n;
}

/* Those rows of a table, plus row[0 .. 16 * sixteens). */
SET_INLINE void SET(add_to_rows)(float *table, const float *row, size_t width, const uint16_t *bit,
                                 const uint16_t *end, const int sixteens) {
    vec more[8];
    UNROLLED for (int v = 0; v < sixteens * VECTORS; v++) more[v] = load(&row[v * LANES]);
    for (; bit < end; bit++) {
        float *to = table + *bit * width;
        UNROLLED for (int v = 0; v < sixteens * VECTORS; v++)
            store(&to[v * LANES], load(&to[v * LANES]) + more[v]);
    }
}

SET_TARGET static size_t SET(first_gradient)(float *table, const zf_obs *obs, const float *gradient,
                                             size_t n, size_t n_bits, size_t width) {
    bit_lists lists;
    for (size_t done = 0; done < n;) {
        size_t listed = fill_lists(&lists, obs + done, n - done, n_bits);
        for (size_t i = 0; i < listed; i++) {
            const uint16_t *bits = &lists.bits[lists.start[i]], *end = bits + lists.count[i];
            const float *row = &gradient[(done + i) * width];
            size_t column = 0;
            for (; column + 8 * LANES <= width; column += 8 * LANES)
                SET(add_to_rows)(table + column, row + column, width, bits, end, LANES / 2);
            for (; column < width; column += 16)
                SET(add_to_rows)(table + column, row + column, width, bits, end, 1);
        }
        done += listed;
        if (done < n && !sane(&obs[done])) return done;
    }
    return n;
}

/* The same in whole numbers: eight rows are summed in 16 bits, which hold them, then in 32. Sums of
 * whole numbers are exact in any order. */
typedef int16_t SET(shorts) __attribute__((vector_size(4 * LANES)));
typedef uint32_t SET(words) __attribute__((vector_size(4 * LANES)));
#define SHORT_VECTORS (ZF_FIRST_PANEL / (2 * LANES))
#define EACH_SHORT UNROLLED for (int v = 0; v < SHORT_VECTORS; v++)

SET_INLINE void SET(add_brief)(ivec sum[2 * SHORT_VECTORS], const int16_t *panel,
                               const uint16_t *bit, const uint16_t *end) {
    for (; bit < end; bit += EIGHT) {
        SET(shorts) eight[SHORT_VECTORS], more;
        EACH_SHORT memcpy(&eight[v], &panel[bit[0] * ZF_FIRST_PANEL + 2 * LANES * v], sizeof more);
        UNROLLED for (int i = 1; i < EIGHT; i++)
            EACH_SHORT {
                memcpy(&more, &panel[bit[i] * ZF_FIRST_PANEL + 2 * LANES * v], sizeof more);
                eight[v] += more;
            }
        EACH_SHORT {
            sum[2 * v] += (ivec)((SET(words))eight[v] << 16) >> 16;
            sum[2 * v + 1] += (ivec)eight[v] >> 16;
        }
    }
}

SET_TARGET static size_t SET(brief_layer)(float *out, const zf_obs *obs, size_t n,
                                          const zf_brief *first) {
    bit_lists lists;
    for (size_t done = 0; done < n;) {
        size_t listed = fill_lists(&lists, obs + done, n - done, first->n_bits);
        const int16_t *panel = first->table;
        for (size_t column = 0; column < first->width; column += 32, panel += zf_brief_panel(first->n_bits))
            for (size_t i = 0; i < listed; i++) {
                const uint16_t *bits = &lists.bits[lists.start[i]];
                float *to = &out[(done + i) * first->width];
                ivec sum[2 * SHORT_VECTORS] = {{0}};
                SET(add_brief)(sum, panel, bits, bits + lists.count[i]);
                UNROLLED for (size_t v = 0; v < 2 * SHORT_VECTORS; v++) {
                    size_t at = column + v * LANES;
                    if (at < first->width)
                        store(&to[at], load(&first->bias[at]) +
                                           __builtin_convertvector(sum[v], vec) *
                                               load(&first->unit[at]));
                }
            }
        done += listed;
        if (done < n && !sane(&obs[done])) return done;
    }
    return n;
}

ZF_DEFINE_EXPONENTIAL(SET_INLINE, SET(exponentiate), vec, ivec)

SET_INLINE vec SET(larger)(vec a, vec b) {
    ivec second = b > a;
    return (vec)(((ivec)b & second) | ((ivec)a & ~second));
}

/* NaN or not: whoever asks takes a NaN among the sixteen numbers from elsewhere. */
SET_INLINE float SET(largest)(const vec x[VECTORS]) {
    float lane[16];
    EACH_VECTOR store(&lane[v * LANES], x[v]);
    UNROLLED for (int half = 8; half; half /= 2)
        UNROLLED for (int i = 0; i < half; i++)
            lane[i] = lane[i + half] > lane[i] ? lane[i + half] : lane[i];
    return lane[0];
}

SET_INLINE float SET(sum_of_16)(const vec x[VECTORS]) {
    vec sum[VECTORS];
    EACH_VECTOR sum[v] = x[v];
    UNROLLED for (int half = VECTORS / 2; half; half /= 2)
        UNROLLED for (int v = 0; v < half; v++) sum[v] += sum[v + half];
    return sum_of_lanes(sum[0]);
}

/* The lanes that the mask, sixteen words of all ones or none, has. */
SET_INLINE vec SET(some)(vec x, const int32_t mask[16], int v) {
    ivec of;
    memcpy(&of, &mask[v * LANES], sizeof of);
    return (vec)((ivec)x & of);
}

/* The chance of points that win less that of points that lose. Three times sixteen of 43 points;
 * the last sixteen begin with five that were there before. NaN if any of the points is or all are
 * infinite. */
SET_INLINE float SET(value)(const float points[ZF_N_POINTS], zf_aim aim) {
    static const int place[3] = {0, 16, ZF_N_POINTS - 16};
    vec w[3][VECTORS], most[VECTORS], more[VECTORS], fewer[VECTORS], all[VECTORS];
    UNROLLED for (int i = 0; i < 3; i++)
        EACH_VECTOR w[i][v] = load(&points[place[i] + v * LANES]);
    EACH_VECTOR most[v] = SET(larger)(SET(larger)(w[0][v], w[1][v]), w[2][v]);
    vec top = each(SET(largest)(most));
    UNROLLED for (int i = 0; i < 3; i++)
        EACH_VECTOR {
            w[i][v] -= top;
            SET(exponentiate)(&w[i][v]);
        }
    EACH_VECTOR {
        ivec number;
        memcpy(&number, &first_sixteen[v * LANES], sizeof number);
        w[2][v] = SET(some)(w[2][v], from_fifth, v);
        all[v] = (w[0][v] + w[1][v]) + w[2][v];
        fewer[v] = (vec)((ivec)w[0][v] & (number <= aim.lost));
        more[v] = (vec)((ivec)w[0][v] & (number >= aim.won));
        UNROLLED for (int i = 1; i < 3; i++) {
            fewer[v] += (vec)((ivec)w[i][v] & (number <= aim.lost - place[i]));
            more[v] += (vec)((ivec)w[i][v] & (number >= aim.won - place[i]));
        }
    }
    return (SET(sum_of_16)(more) - SET(sum_of_16)(fewer)) / SET(sum_of_16)(all);
}

/* NaN in every slot if a legal one's logit is, or none is legal. */
SET_INLINE void SET(priors)(float out[ZF_HAND_SIZE], const zf_obs *o, const float *scores) {
    uint32_t legal = o->legal, left = o->hand;
    float logit[16], top = -INFINITY;
    vec weight[VECTORS];
    EACH_VECTOR store(&logit[v * LANES], each(-INFINITY));
    for (uint32_t slot = 0; slot < ZF_HAND_SIZE; slot++, left &= left - 1) {
        logit[slot] = legal >> slot & 1 ? scores[__builtin_ctz(left | 1u << 28)] : -INFINITY;
        top = logit[slot] > top ? logit[slot] : top;
    }
    EACH_VECTOR {
        weight[v] = load(&logit[v * LANES]) - each(top);
        SET(exponentiate)(&weight[v]);
    }
    float sum = SET(sum_of_16)(weight);
    EACH_VECTOR store(&logit[v * LANES], weight[v] / each(sum));
    memcpy(out, logit, ZF_HAND_SIZE * sizeof *out);
}

SET_TARGET static void SET(answers)(float *out, const zf_obs *obs, size_t n, const float *scores,
                                    size_t stride) {
    for (size_t i = 0; i < n; i++, out += 8, scores += stride) {
        SET(priors)(out, &obs[i], scores);
        /* One of them with an aim that the compiler knows. */
        out[7] = ZF_LIKELY(obs[i].contract.bid == 0)
                     ? SET(value)(scores + ZF_N_DOMINOES, ZF_NO_CONTRACT)
                     : SET(value)(scores + ZF_N_DOMINOES, zf_aim_of(&obs[i].contract, 0));
    }
}

#undef VECTORS
#undef SHORT_VECTORS
#undef EACH_SHORT
#undef UNROLLED
#undef EACH_VECTOR
