/* What one seat knows, and what it may do, as small numbers in fixed places: for networks and
 * environments of others.
 *
 * Unlike an observation (observe.h) it is that of any seat at any time, whoever is to act, and of
 * every phase of a whole game. Nothing here reads a hand that is not the observer's.
 * Twin: tests/support/slow_planes.py. */
#ifndef ZF_SEAT_PLANES_H
#define ZF_SEAT_PLANES_H

#include <stddef.h>

#include "whole_game.h"

/* First place of each group. Seats count from the observer: itself, left, partner, right. */
enum {
    ZF_P_HELD = 0,      /* [28] dominoes still in the observer's hand */
    ZF_P_DEALT = 28,    /* [28] dominoes dealt to it */
    ZF_P_PLAYED = 56,   /* [4][28] by seat */
    ZF_P_TABLE = 168,   /* [4][28] those on the table */
    ZF_P_WHEN = 280,    /* [28] number of the play from 1, 0 where not played */
    ZF_P_DECL = 308,    /* [15] declarations, those of house contracts included */
    ZF_P_LEADER = 323,  /* [4] seat that led, or is to lead, the trick */
    ZF_P_TO_ACT = 327,  /* [4] none when it is over */
    ZF_P_TRICK = 331,   /* [7] number of the trick */
    ZF_P_POINTS = 338,  /* [2] points taken, 0..42: the observer's side, the other */
    ZF_P_HAND_SIZE = 340,
    ZF_P_PHASE = 340,   /* [3] call, declare, play */
    ZF_P_CALLS = 343,   /* [4][22] by seat: pass, 30..41, one to seven marks, plunge, splash */
    ZF_P_BIDDER = 431,  /* [4] of the standing bid */
    ZF_P_SHAKER = 435,  /* [4] */
    ZF_P_STAKE = 439,   /* marks of the standing bid, 0 where it is for points */
    ZF_P_MARKS = 440,   /* [2] marks (or points, at most 255): the observer's side, the other */
    ZF_P_WHOLE_SIZE = 442,
};

/* Actions of a whole game in one numbering: dominoes, then calls, then declarations. */
enum {
    ZF_A_CALL = ZF_N_DOMINOES,
    ZF_A_DECL = ZF_A_CALL + ZF_SPLASH_BIT + 1,
    ZF_A_SIZE = ZF_A_DECL + ZF_SEVENS + 1,
};

/* Of a hand that is played without an auction: ZF_P_HAND_SIZE numbers. */
void zf_hand_planes(uint8_t *out, const zf_state *s, uint32_t seat);

/* Of a whole game: ZF_P_WHOLE_SIZE numbers. Before a deal they are of no hand. */
void zf_whole_planes(uint8_t *out, const zf_whole_game *g, uint32_t seat);

/* A one for each legal action of the seat to act: ZF_N_DOMINOES numbers, or ZF_A_SIZE. */
void zf_hand_mask(uint8_t *out, const zf_state *s);
void zf_whole_mask(uint8_t *out, const zf_whole_game *g, const zf_rule_set *r);

#endif
