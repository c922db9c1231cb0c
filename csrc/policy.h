/* Players that others have written: C functions that answer with what a seat should do.
 *
 * What such a function sees is one record, whose layout and meaning have a number, ZF_POLICY_ABI.
 * It draws from nothing but the number that it is given. An answer below 0 is an error code of its
 * own. Twin of the record: tests/support/slow_policy.py, from the plain rules. */
#ifndef ZF_POLICY_H
#define ZF_POLICY_H

#include <stddef.h>

#include "rng.h"
#include "state.h"

#define ZF_POLICY_ABI 1

/* What the seat that is asked may know. Seats are relative: 0 is its own, 1 its left neighbour, 2 its
 * partner. All numbers are signed, so that they add up as in Python in whatever language. */
typedef struct {
    int32_t phase;        /* 1 call, 2 declare, 3 play */
    int32_t legal;        /* mask of legal calls by place, declarations or dominoes */
    int32_t hand;         /* mask of the dominoes held */
    int32_t dealt;        /* mask of the seven dealt */
    int32_t played[4];    /* masks of what each seat has played */
    int32_t winners;      /* mask of legal dominoes that would take the trick as it stands */
    int32_t trumps;       /* mask of all 28 dominoes' trumps */
    int32_t decl;         /* -1: not declared */
    int32_t n_plays;
    int32_t n_table;      /* dominoes on the table, 0..3 */
    int32_t table[3];     /* from the leader on; -1 beyond n_table */
    int32_t suit;         /* led suit, 7 the called one; -1 where the seat leads */
    int32_t leader;       /* seat that leads the trick */
    int32_t best;         /* seat whose domino takes it so far; -1 where the seat leads */
    int32_t table_points; /* count on the table */
    int32_t points[2];    /* taken by the own side and the other */
    int32_t bid;          /* standing: 0 none, 30..41, 42 m for m marks */
    int32_t bidder;       /* seat; -1: none */
    int32_t shaker;       /* seat; -1: not known */
    int32_t calls[4];     /* by seat; -1: none made, or not known */
    int32_t marks[2];     /* of the own side and the other */
    int32_t target;       /* marks that win; 0: a hand alone */
    int8_t plays[ZF_N_PLIES]; /* domino | seat << 5 in order; -1 from n_plays on */
} zf_view;
_Static_assert(sizeof(zf_view) == 156, "VIEW_DTYPE");

/* An answer: a domino. random: 0..2^63 - 1, every number equally likely. */
typedef int32_t (*zf_policy)(const zf_view *view, int64_t random);

/* One that plays any legal domino, all equally likely. */
int32_t zf_policy_random(const zf_view *view, int64_t random);

/* How far a run is, which others may read while it goes on, and what ended it. */
typedef struct {
    volatile int64_t calls; /* answered */
    volatile int64_t at;    /* what is asked about, by its place in the run */
    int64_t answer;         /* the last that could not be used */
} zf_policy_run;

typedef struct {
    zf_policy answer;
    bool replaces;    /* an answer that cannot be used by the lowest legal domino */
    int64_t replaced; /* how many were */
} zf_policy_player;

/* What games are asked about with, by row of a call. */
typedef struct {
    const uint8_t *bids;   /* 30..42, of the first leader's team, where a game has no contract */
    const uint64_t *games; /* numbers of the games: a play has draw n_plays of (seed, stream, game) */
    uint64_t seed, stream;
} zf_policy_asking;

/* The number that is drawn for a call. */
ZF_INLINE int64_t zf_policy_draw(uint64_t key, uint64_t index) {
    return (int64_t)(zf_bits(key, index) >> 1);
}

/* What the seat to play sees; the game must not be over. */
void zf_view_of(zf_view *view, const zf_state *s, uint32_t bid);

/* A legal domino for the seat to play of a game that is not over; forced ones are not asked about.
 * ZF_N_DOMINOES where the answer cannot be used: run->answer is that. */
uint32_t zf_policy_choose(zf_policy_player *player, const zf_state *s, uint32_t bid, uint64_t key,
                          zf_policy_run *run);

/* One play for each of the listed games, none of them over, into dominoes [n]. False where an answer
 * cannot be used: run->at is its place in the list, and the rest is not written. */
bool zf_policy_plays(zf_policy_player *player, const zf_state *s, const int64_t *rows, size_t n,
                     const zf_policy_asking *asking, uint8_t *dominoes, zf_policy_run *run);

/* n games to their ends: in game i the first player plays for the team first_team[i]. False as above,
 * with the games as they stand. */
bool zf_policy_games(zf_policy_player players[2], zf_state *s, size_t n,
                     const uint8_t *first_team, const zf_policy_asking *asking,
                     zf_policy_run *run);

/* Answers to n views as they are given, whatever they say. */
void zf_policy_answers(zf_policy policy, const zf_view *views, const int64_t *randoms, size_t n,
                       int32_t *answers, zf_policy_run *run);

#endif
