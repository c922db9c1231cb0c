/* The one game state and the rules that move it. Everything here is inlined into the kernels.
 *
 * Twin: zebfast/rules/position.py. Callers pass only legal dominoes to zf_play; the checks that
 * turn a user's mistake into a sentence live at the edges (engine.c, selfplay.c). */
#ifndef ZF_STATE_H
#define ZF_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "contract.h"
#include "platform.h"
#include "tables.h"

typedef struct {
    uint32_t hand[4];  /* dominoes still held, one bit each */
    uint32_t dealt[4]; /* dominoes dealt */
    uint8_t plays[ZF_N_PLIES]; /* domino | seat << 5, zero beyond n_plays */
    uint8_t decl;
    uint8_t first_leader;
    uint8_t n_plays;
    uint8_t to_play; /* after the last trick: its winner */
    uint8_t suit;    /* led suit of the trick on the table; meaningless between tricks */
    uint8_t best;    /* seat winning that trick so far */
    uint8_t best_rank;
    uint8_t table_points; /* count on the table */
    uint8_t points[2];    /* taken by team 0 (seats 0, 2) and team 1 */
    uint8_t pad[2];
    zf_contract contract; /* what it is played for; nobody's play depends on it here */
} zf_state;

_Static_assert(sizeof(zf_state) == 80, "the state is copied on every descent: keep it small");

ZF_INLINE void zf_init(zf_state *s, const uint32_t hands[4], uint8_t decl, uint8_t leader) {
    memset(s, 0, sizeof *s);
    for (int seat = 0; seat < ZF_N_SEATS; seat++) s->hand[seat] = s->dealt[seat] = hands[seat];
    s->decl = decl;
    s->first_leader = s->to_play = leader;
}

ZF_INLINE bool zf_over(const zf_state *s) { return s->n_plays == ZF_N_PLIES; }

/* The next two take how many seats make a trick (four, or three where a contract of the house closes
 * one seat's hand) and that seat (ZF_N_SEATS: none). As constants they cost nothing. */
ZF_INLINE uint32_t zf_legal_among(const zf_state *s, uint32_t n_seats) {
    uint32_t hand = s->hand[s->to_play];
    uint32_t following = hand & zf_follow[s->decl][s->suit];
    /* A leader follows nothing; a void seat may play anything. */
    return s->n_plays % n_seats == 0 || following == 0 ? hand : following;
}

ZF_INLINE void zf_play_among(zf_state *s, uint32_t domino, uint32_t n_seats, uint32_t closed) {
    uint32_t seat = s->to_play;
    bool leads = s->n_plays % n_seats == 0;
    s->suit = leads ? zf_led_suit[s->decl][domino] : s->suit;
    uint8_t rank = zf_rank[s->decl][s->suit][domino];
    bool wins = leads || rank > s->best_rank;
    s->best_rank = wins ? rank : s->best_rank;
    s->best = wins ? (uint8_t)seat : s->best;
    s->table_points = (uint8_t)((leads ? 0 : s->table_points) + zf_count[domino]);
    s->hand[seat] &= ~(1u << domino);
    s->plays[s->n_plays++] = (uint8_t)(domino | seat << 5);
    bool full = s->n_plays % n_seats == 0;
    uint32_t next = (seat + 1) & 3;
    next = next == closed ? (next + 1) & 3 : next;
    s->points[s->best & 1] += full ? s->table_points + 1 : 0;
    s->to_play = full ? s->best : (uint8_t)next;
}

/* Legal dominoes of the seat to play; 0 when the game is over (all hands are empty). */
ZF_INLINE uint32_t zf_legal(const zf_state *s) { return zf_legal_among(s, ZF_N_SEATS); }

/* Play a legal domino. */
ZF_INLINE void zf_play(zf_state *s, uint32_t domino) {
    zf_play_among(s, domino, ZF_N_SEATS, ZF_N_SEATS);
}

/* The game after its first n plays, with what was dealt as it stands: they are played again. */
ZF_INLINE void zf_rewind(zf_state *s, int n) {
    zf_state before;
    zf_init(&before, s->dealt, s->decl, s->first_leader);
    before.contract = s->contract;
    for (int i = 0; i < n; i++) zf_play(&before, s->plays[i] & 31u);
    *s = before;
}

/* +1, -1 or 0 for team 0 when the game is over or decided: its side of the contract or, where there
 * is none, more points, fewer, or 21-21. */
ZF_INLINE int zf_outcome(const zf_state *s) {
    zf_aim aim = zf_aim_of(&s->contract, 0);
    return (s->points[0] >= aim.won) - (s->points[1] >= ZF_TOTAL_POINTS - aim.lost);
}

/* Whether the outcome is known: the points still to come cannot change it. */
ZF_INLINE bool zf_decided(const zf_state *s) {
    zf_aim aim = zf_aim_of(&s->contract, 0);
    return s->points[0] >= aim.won || s->points[1] >= ZF_TOTAL_POINTS - aim.lost;
}

/* The r-th lowest set bit's position; r < popcount(mask) <= most. Branch-free. */
ZF_INLINE uint32_t zf_select(uint32_t mask, uint32_t r, uint32_t most) {
    for (uint32_t i = 0; i + 1 < most; i++) mask = i < r ? mask & (mask - 1) : mask;
    return (uint32_t)__builtin_ctz(mask);
}

/* The domino in a slot of the seat to play: the slot-th of those dealt to it. */
ZF_INLINE uint32_t zf_slot_domino(const zf_state *s, uint32_t slot) {
    return zf_select(s->dealt[s->to_play], slot, ZF_HAND_SIZE);
}

/* The slot of the largest prior among slots (not empty), the lowest of equals. */
ZF_INLINE uint32_t zf_greedy_slot(const float priors[ZF_HAND_SIZE], uint32_t slots) {
    uint32_t best = (uint32_t)__builtin_ctz(slots);
    for (uint32_t slot = best + 1; slot < ZF_HAND_SIZE; slot++)
        best = (slots >> slot & 1) && priors[slot] > priors[best] ? slot : best;
    return best;
}

/* The bits of mask, compressed to the positions they have among the set bits of of. */
ZF_INLINE uint32_t zf_compress(uint32_t mask, uint32_t of) {
    uint32_t out = 0;
    for (uint32_t slot = 0; of; slot++, of &= of - 1)
        out |= (uint32_t)((mask & (of & -of)) != 0) << slot;
    return out;
}

#endif
