#include "seat_planes.h"

#define N_CALLS (ZF_SPLASH_BIT + 1)

/* A one in the place of each bit of a mask. */
ZF_INLINE void spread(uint8_t *out, uint32_t mask) {
    for (; mask; mask &= mask - 1) out[__builtin_ctz(mask)] = 1;
}

/* A hand in play or played, in tricks of so many. */
ZF_INLINE void put_hand(uint8_t *out, const zf_state *s, uint32_t seat, uint32_t n_seats) {
    spread(out + ZF_P_HELD, s->hand[seat]);
    spread(out + ZF_P_DEALT, s->dealt[seat]);
    uint32_t trick = s->n_plays / n_seats, first = trick * n_seats;
    for (uint32_t i = 0; i < s->n_plays; i++) {
        uint32_t domino = s->plays[i] & 31u, by = ((s->plays[i] >> 5) - seat) & 3u;
        out[ZF_P_PLAYED + by * ZF_N_DOMINOES + domino] = 1;
        out[ZF_P_WHEN + domino] = (uint8_t)(i + 1);
        if (i >= first) out[ZF_P_TABLE + by * ZF_N_DOMINOES + domino] = 1;
    }
    if (trick < ZF_N_TRICKS) {
        uint32_t leader = s->n_plays > first ? s->plays[first] >> 5 : s->to_play;
        out[ZF_P_LEADER + ((leader - seat) & 3u)] = 1;
        out[ZF_P_TRICK + trick] = 1;
    }
    out[ZF_P_DECL + s->decl] = 1;
    out[ZF_P_POINTS] = s->points[seat & 1];
    out[ZF_P_POINTS + 1] = s->points[(seat & 1) ^ 1];
}

void zf_hand_planes(uint8_t *out, const zf_state *s, uint32_t seat) {
    memset(out, 0, ZF_P_HAND_SIZE);
    put_hand(out, s, seat, ZF_N_SEATS);
    if (!zf_over(s)) out[ZF_P_TO_ACT + ((s->to_play - seat) & 3u)] = 1;
}

/* Where a call has its bit in a mask of calls. */
ZF_INLINE uint32_t bit_of_call(uint32_t call) {
    if (call == ZF_PASS) return 0;
    if (call < ZF_MARK) return call - ZF_LEAST_BID + 1;
    if (zf_is_house_call(call)) return ZF_PLUNGE_BIT + call % ZF_MARK - 1;
    return ZF_FIRST_MARK_BIT + zf_marks_of(call) - 1;
}

ZF_INLINE uint8_t at_most_a_byte(uint32_t n) { return (uint8_t)(n < 255 ? n : 255); }

void zf_whole_planes(uint8_t *out, const zf_whole_game *g, uint32_t seat) {
    memset(out, 0, ZF_P_WHOLE_SIZE);
    out[ZF_P_SHAKER + ((g->shaker - seat) & 3u)] = 1;
    out[ZF_P_MARKS] = at_most_a_byte(g->marks[seat & 1]);
    out[ZF_P_MARKS + 1] = at_most_a_byte(g->marks[(seat & 1) ^ 1]);
    if (g->phase == ZF_PHASE_DEAL) return; /* the last hand is put away */
    bool nello = g->hand.decl >= ZF_NELLO && g->hand.decl < ZF_SEVENS;
    if (g->phase == ZF_PHASE_PLAY || g->phase == ZF_PHASE_OVER) {
        put_hand(out, &g->hand, seat, nello ? ZF_N_SEATS - 1 : ZF_N_SEATS);
    } else {
        spread(out + ZF_P_HELD, g->hand.hand[seat]);
        spread(out + ZF_P_DEALT, g->hand.dealt[seat]);
    }
    uint32_t acting = zf_whole_seat(g);
    if (acting != ZF_NOBODY) {
        out[ZF_P_TO_ACT + ((acting - seat) & 3u)] = 1;
        out[ZF_P_PHASE + g->phase - ZF_PHASE_CALL] = 1;
    }
    for (uint32_t i = 0; i < g->n_calls; i++) {
        uint32_t by = (g->shaker + 1u + i - seat) & 3u;
        out[ZF_P_CALLS + by * N_CALLS + bit_of_call(g->calls[i])] = 1;
    }
    if (g->bidder != ZF_NOBODY) out[ZF_P_BIDDER + ((g->bidder - seat) & 3u)] = 1;
    out[ZF_P_STAKE] = (uint8_t)zf_marks_of(g->bid);
}

void zf_hand_mask(uint8_t *out, const zf_state *s) {
    memset(out, 0, ZF_N_DOMINOES);
    spread(out, zf_legal(s));
}

void zf_whole_mask(uint8_t *out, const zf_whole_game *g, const zf_rule_set *r) {
    uint32_t first = g->phase == ZF_PHASE_CALL      ? ZF_A_CALL
                     : g->phase == ZF_PHASE_DECLARE ? ZF_A_DECL
                                                    : 0;
    memset(out, 0, ZF_A_SIZE);
    spread(out + first, zf_whole_legal(g, r));
}
