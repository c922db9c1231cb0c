/* Exact values of positions with all hands open, double dummy as in bridge: how many of the points
 * still to come team 0 (seats 0 and 2) takes when all four seats see everything and play their best.
 *
 * Zero-window alpha-beta over whole tricks; bounds are kept in a table at trick starts.
 * Twin: tests/support/slow_solver.py, plain minimax. */
#ifndef ZF_SOLVE_H
#define ZF_SOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

/* What is left of a deal. "Points to come" are those of all unfinished tricks, the one on the table
 * and the dominoes lying there included. */
typedef struct {
    uint32_t hand[4]; /* dominoes still held; those on the table are in no hand */
    uint8_t decl;
    uint8_t leader;   /* of the trick on the table or, if it is empty, of the next one */
    uint8_t n_table;  /* dominoes on the table, 0..3 */
    uint8_t table[3]; /* in order from the leader; zero beyond n_table */
    uint8_t pad[2];   /* zero */
} zf_position;
_Static_assert(sizeof(zf_position) == 24, "POSITION_DTYPE");

typedef enum {
    ZF_POSITION_OK = 0,
    ZF_POSITION_BAD_DECL,   /* declaration outside 0..9 */
    ZF_POSITION_BAD_LEADER, /* leader outside 0..3 */
    ZF_POSITION_BAD_TABLE,  /* more than three dominoes on the table, or an id outside 0..27 */
    ZF_POSITION_BAD_DOMINO, /* a hand has bits beyond domino 27 */
    ZF_POSITION_TWICE,      /* a domino is in two places; *seat = -1, *domino says which */
    ZF_POSITION_BAD_SIZES,  /* a hand has the wrong number of dominoes; *seat says whose */
    ZF_POSITION_REVOKE,     /* *seat played *domino although it holds one of the led suit */
} zf_position_fault;

/* Whether a position can be: sizes, owners, and that nobody on the table failed to follow suit.
 * An ended deal (all hands and the table empty) is fine: it is worth 0. */
zf_position_fault zf_position_check(const zf_position *p, int *seat, int *domino);

/* The position of a game, seeing all hands. */
void zf_position_of(zf_position *p, const zf_state *s);

/* Seat to play; the leader if the deal is over. */
ZF_INLINE uint32_t zf_position_to_play(const zf_position *p) {
    return (uint32_t)(p->leader + p->n_table) & 3u;
}

/* Points still to come, both sides together: 1 a trick and the count in the hands and on the table. */
int zf_position_points(const zf_position *p);

typedef struct zf_solver zf_solver;

#define ZF_MIN_TABLE_BITS 4
#define ZF_MAX_TABLE_BITS 20
#define ZF_DEFAULT_TABLE_BITS 15

/* A context for one thread at a time; its table has 2 ** table_bits entries of 8 bytes. No answer
 * depends on that size or on what was solved before. NULL when memory is short. */
zf_solver *zf_solver_new(uint32_t table_bits);
void zf_solver_free(zf_solver *solver);
size_t zf_solver_bytes(const zf_solver *solver);
/* Positions searched so far (plays made inside tricks), since zf_solver_new. */
uint64_t zf_solver_nodes(const zf_solver *solver);

/* A note for whoever calls: set by any thread, looked at between positions by the one at work. */
void zf_solver_interrupt(zf_solver *solver, bool on);
bool zf_solver_interrupted(const zf_solver *solver);

/* All of these take positions that zf_position_check accepts. */

/* Points to come for team 0. */
int zf_solve(zf_solver *solver, const zf_position *p);

/* Whether team 0 takes at least so many of the points to come. */
bool zf_solve_at_least(zf_solver *solver, const zf_position *p, int points);

/* Points to come for team 0 after each legal play; -1 for dominoes that cannot be played. */
void zf_solve_plays(zf_solver *solver, const zf_position *p, int8_t points[ZF_N_DOMINOES]);

/* +1, -1 or 0 (21-21) for team 0 when the game is played out from here with all hands open, points
 * already taken counted. With a contract one question is enough: whether it is made. */
int zf_solve_outcome(zf_solver *solver, const zf_state *s);

#endif
