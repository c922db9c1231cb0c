/* A whole game, hand after hand: auction, declaration, play, marks.
 *
 * One kind of action moves it: a bit of the mask of what is legal, which is a call (auction.h), a
 * declaration or a domino by the phase. Callers pass only legal ones.
 * Twin: zebfast/rules/whole_game.py. */
#ifndef ZF_WHOLE_GAME_H
#define ZF_WHOLE_GAME_H

#include <stddef.h>

#include "auction.h"
#include "state.h"

typedef enum {
    ZF_PHASE_DEAL = 0, /* the next hand is to be dealt */
    ZF_PHASE_CALL,
    ZF_PHASE_DECLARE,
    ZF_PHASE_PLAY,
    ZF_PHASE_OVER,
} zf_phase;

#define ZF_NOBODY 4   /* no seat */
#define ZF_NO_TEAM 2
enum { ZF_SET = 0, ZF_MADE = 1, ZF_THROWN_IN = 2, ZF_NO_HAND = 3, ZF_UNDECIDED = 4 };

/* What the hand before brought. */
typedef struct {
    uint16_t award[2]; /* to the two teams: marks, or points in a game for points */
    uint16_t bid;      /* the call that won the auction; 0: thrown in */
    uint8_t bidder;    /* ZF_NOBODY: thrown in */
    uint8_t decl;      /* house contracts included; 255: none */
    uint8_t made;      /* ZF_SET, ZF_MADE, ZF_THROWN_IN; ZF_NO_HAND before the first ends */
    uint8_t points[2]; /* of the tricks played */
    uint8_t pad;
} zf_hand_result;

typedef struct {
    zf_state hand;       /* of the hand dealt last; decl and leader count from the declaration on */
    zf_hand_result last;
    uint16_t calls[4];   /* in order, from the shaker's left; zero beyond n_calls */
    uint16_t marks[2];   /* or points */
    uint16_t bid;        /* the standing bid */
    uint16_t n_hands;    /* ended */
    uint32_t n_actions;  /* of the whole game */
    uint8_t phase, shaker, n_calls, bidder;
    uint8_t thrown_in;   /* hands, one after the other */
    uint8_t winner;      /* team; ZF_NO_TEAM before the end */
    uint8_t pad[2];
} zf_whole_game;

_Static_assert(sizeof(zf_whole_game) == 120, "no padding: games are compared as bytes");

void zf_whole_init(zf_whole_game *g, uint8_t shaker);

/* Deal the next hand, in ZF_PHASE_DEAL: four disjoint masks of seven dominoes. */
void zf_whole_deal(zf_whole_game *g, const zf_rule_set *r, const uint32_t hands[4]);

/* Hand n_hands + 1 of game `game` of a seed, and who shakes that game's first hand. */
void zf_whole_deal_seeded(zf_whole_game *g, const zf_rule_set *r, uint64_t seed, uint64_t game);
uint8_t zf_whole_first_shaker(uint64_t seed, uint64_t game);

/* The seat to act; ZF_NOBODY before a deal and at the end. */
uint32_t zf_whole_seat(const zf_whole_game *g);

/* Whether the seat to call is the shaker who may not pass. */
bool zf_whole_must_bid(const zf_whole_game *g, const zf_rule_set *r);

/* What the seat to act may do, a bit for each; 0 where no seat is to act. */
uint32_t zf_whole_legal(const zf_whole_game *g, const zf_rule_set *r);

/* Do one legal thing. Afterwards the hand may be over: ZF_PHASE_DEAL or ZF_PHASE_OVER. */
void zf_whole_act(zf_whole_game *g, const zf_rule_set *r, uint32_t action);

/* ZF_MADE, ZF_SET or ZF_UNDECIDED of the hand in play. */
uint32_t zf_whole_decided(const zf_whole_game *g);

/* Whether the hand in play pays more for all seven tricks, and may still come to that. */
bool zf_whole_sweep_open(const zf_whole_game *g, const zf_rule_set *r);

/* End a hand for marks that is decided, between tricks, with no such sweep open. */
void zf_whole_end_hand(zf_whole_game *g, const zf_rule_set *r);

/* A uniformly random legal action, the draw numbered by the game's actions: a game of the seed. */
uint32_t zf_whole_random_choice(const zf_whole_game *g, const zf_rule_set *r, uint64_t seed,
                                uint64_t game);

/* n whole games of random actions, from first_game on. */
void zf_whole_random_games(zf_whole_game *out, const zf_rule_set *r, size_t n, uint64_t seed,
                           uint64_t first_game);

#endif
