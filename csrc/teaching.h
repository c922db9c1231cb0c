/* Many games at once that a teacher labels: at a decision, what follows each legal play.
 *
 * The games are the network's own: its plays drawn from its policy, and some at random. A label is
 * the final points of the player's side after each legal play, by exact values of the open hands or
 * by playing the network's favourites to the end (rollouts: Tesauro and Galperin, NIPS 1996). The
 * hands are those of the deal, which is one draw from all that the player can think possible, or
 * those of worlds drawn from it. Twin: tests/support/slow_teaching.py. */
#ifndef ZF_TEACHING_H
#define ZF_TEACHING_H

#include <stddef.h>

#include "sequence.h"

typedef enum { ZF_TEACHER_EXACT, ZF_TEACHER_ROLLOUT } zf_teacher;

typedef struct {
    uint64_t seed;
    uint64_t first_game; /* games first_game, first_game + stride, ... */
    uint64_t stride;
    uint32_t n_games;  /* side by side */
    uint32_t n_worlds; /* a label is the mean over so many; 0 = the deal itself */
    zf_teacher teacher;
    float label_share; /* of the decisions, a decision being a seat with two legal plays or more */
    float temperature; /* of plays drawn from the policy; 0 = the favourite */
    float explore;     /* share of random plays */
    uint32_t exact_tricks; /* rollouts stop where so many tricks are left, and are solved */
} zf_teaching_config;

typedef struct {
    uint64_t games, plays; /* finished */
    uint64_t labels;       /* decisions labelled */
    uint64_t rollouts;     /* played to their end; one a world and legal play, less those known */
    uint64_t evaluations;  /* observations handed out */
    uint64_t solver_calls; /* positions given to the solver */
} zf_teaching_counts;

typedef struct zf_teaching zf_teaching;

/* NULL when memory is short. */
zf_teaching *zf_teaching_new(const zf_teaching_config *config);
void zf_teaching_free(zf_teaching *t);

/* Most observations that one select hands out. */
size_t zf_teaching_room(const zf_teaching_config *config);

/* Its games; none may be started before it is given a limit. */
zf_sequence *zf_teaching_sequence(zf_teaching *t);

/* Run games and rollouts until they need the network, as many as some milliseconds of solving allow.
 * Observations are packed at the front of obs[zf_teaching_room]; returns how many. 0 = every allowed
 * game is finished. */
size_t zf_teaching_select(zf_teaching *t, zf_obs *obs);

/* Evaluations of the last select's observations, in order: [n][8]; the value is not used. Returns -1,
 * or the first row that is not finite (nothing is applied then). */
int64_t zf_teaching_update(zf_teaching *t, const float *evals);

/* The evaluations to come are another network's. */
void zf_teaching_forget(zf_teaching *t);

void zf_teaching_counts_of(const zf_teaching *t, zf_teaching_counts *out);
size_t zf_teaching_bytes(const zf_teaching *t);

#endif
