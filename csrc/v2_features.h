/* The two ends of the v2 network: an information state as 1024 bits and the first layer over them,
 * and from the last layer's scores to priors and a value.
 *
 * The last 168 bits are about the contract, and are not set where there is none. Networks that know
 * of no contracts have a row for each of the others only.
 *
 * Twins: zebfast/net/features.py (torch), tests/support/slow_features.py (plain Python). What each
 * group of bits says is written down in the first. */
#ifndef ZF_V2_FEATURES_H
#define ZF_V2_FEATURES_H

#include <stddef.h>

#include "contract.h"
#include "platform.h"
#include "records.h"

/* First bit of each group. Where there are three rows a group is about relative seats 1..3. */
enum {
    ZF_F_HELD = 0,
    ZF_F_LEGAL = 28,
    ZF_F_PLAYED = 56,  /* [4][28] */
    ZF_F_TABLE = 168,  /* [3][28] */
    ZF_F_WHEN = 252,   /* [7][28] */
    ZF_F_LED = 448,
    ZF_F_CANNOT = 476, /* [3][28] */
    ZF_F_BOSS = 560,
    ZF_F_SURE = 588,
    ZF_F_CALLED_HELD = 616,
    ZF_F_CALLED_UNSEEN = 644,
    ZF_F_BEATS = 672,
    ZF_F_VOID = 700, /* [3][8] */
    ZF_F_DECL = 724,
    ZF_F_TRICK = 734,
    ZF_F_PLACE = 741,
    ZF_F_LED_SUIT = 745,
    ZF_F_WINNING = 753,
    ZF_F_TABLE_COUNT = 757,
    ZF_F_SAFE = 763,
    ZF_F_WON = 764,
    ZF_F_LOST = 765,
    ZF_F_US = 766,
    ZF_F_THEM = 809,
    ZF_F_FIRST_LEADER = 852,
    ZF_N_HAND_FEATURES = 856, /* from here on about the contract */
    ZF_F_BID = 856,
    ZF_F_ALL = 872,
    ZF_F_DECLARING = 873,
    ZF_F_BIDDER = 874,
    ZF_F_SHAKER = 878,
    ZF_F_WE_NEED = 882,
    ZF_F_THEY_NEED = 923,
    ZF_F_ENOUGH = 964, /* [2][3] */
    ZF_F_CALL = 970,   /* [4][10] */
    ZF_F_MARKS = 1010, /* [2][7] */
    ZF_N_FEATURES = 1024,
    ZF_FEATURE_BYTES = ZF_N_FEATURES / 8,
    ZF_FIRST_LAYER_STEP = 16, /* widths are multiples of this */
    ZF_FIRST_PANEL = 32,      /* columns of the first layer's table that lie together */
    ZF_N_POINTS = ZF_TOTAL_POINTS + 1, /* final points of a side: 0..42 */
    ZF_N_SCORES = ZF_N_DOMINOES + ZF_N_POINTS,
};

/* Bit f of an observation is bit f % 8 of byte f / 8 of its row: out is [n][ZF_FEATURE_BYTES].
 * Returns n, or the number of the first observation that no seat could have (out is then
 * unfinished). */
size_t zf_features(uint8_t *out, const zf_obs *obs, size_t n);

/* The first layer: a row of `width` numbers for each of the first n_bits bits, which are all or
 * those of hands (what other bits say does not count), in panels of P = ZF_FIRST_PANEL columns.
 * Column c of bit b is table[c / P * panel + b * row + c % P]: with row = width and panel = P the
 * whole is one matrix; panels end to end stay in the cache better. */
typedef struct {
    const float *table, *bias;
    size_t n_bits, width, row, panel;
} zf_first;

/* The same in 13 bits a number and half of the memory, for networks that are computed in less than
 * fp32: of each column, whole numbers of units. In panels, whose last row, of no bit, is zeros. */
ZF_INLINE size_t zf_brief_panel(size_t n_bits) { return ZF_FIRST_PANEL * (n_bits + 1); }
typedef struct {
    const int16_t *table;     /* [panels][zf_brief_panel], by zf_brief_pack for the same set */
    const float *unit, *bias; /* [width] */
    size_t n_bits, width;
} zf_brief;

/* The ends for one instruction set, which must be supported; the same bits from each. */
typedef struct {
    size_t lanes; /* how zf_brief_pack orders a panel */
    /* out[i] = bias + the rows whose bits are set, added in the order of the bits; out is
     * [n][width]. Returns as zf_features does. */
    size_t (*first_layer)(float *out, const zf_obs *obs, size_t n, const zf_first *first);
    /* Of the first layer's table [n_bits][width], by the gradient [n][width] of its output:
     * each row of that is added to the rows whose bits are set, one observation after another.
     * Returns as zf_features does. */
    size_t (*first_gradient)(float *table, const zf_obs *obs, const float *gradient, size_t n,
                             size_t n_bits, size_t width);
    size_t (*brief_layer)(float *out, const zf_obs *obs, size_t n, const zf_brief *first);
    /* What the last layer's scores of each observation, the first ZF_N_SCORES of every `stride`
     * numbers, come to, out [n][8]: the softmax of the first 28 over the legal dominoes, by slot,
     * then the chance of points with which the observer's side has won less that of points with
     * which it has lost (zf_aim), by the softmax of the others. Scores that are not finite give
     * NaN. */
    void (*answers)(float *out, const zf_obs *obs, size_t n, const float *scores, size_t stride);
} zf_v2_ends;

const zf_v2_ends *zf_v2_ends_of(zf_set set);

/* A table [n_bits][width] in units of each column's largest number over 4095. */
void zf_brief_pack(int16_t *to, float *unit, const float *table, size_t n_bits, size_t width,
                   const zf_v2_ends *set);

/* The same by the best instruction set of this machine, for a table [n_bits][width] and for
 * scores [n][ZF_N_SCORES]. */
size_t zf_first_layer(float *out, const zf_obs *obs, size_t n, const float *table,
                      const float *bias, size_t n_bits, size_t width);
size_t zf_first_gradient(float *table, const zf_obs *obs, const float *gradient, size_t n,
                         size_t n_bits, size_t width);
void zf_answers(float *out, const zf_obs *obs, size_t n, const float *scores);

#endif
