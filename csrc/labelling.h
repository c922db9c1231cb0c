/* Many games at once that a teacher labels: at a decision, what follows each legal play.
 *
 * The games are the network's own: its plays drawn from its policy, and some at random. A label is
 * the final points of the player's side after each legal play, by exact values of the open hands or
 * by greedy play of the network to the end (rollouts: Tesauro and Galperin, NIPS 1996). The hands are
 * those of the deal, which is one draw from all that the player can think possible, or those of
 * worlds drawn from it. Twin: tests/support/slow_labelling.py. */
#ifndef ZF_LABELLING_H
#define ZF_LABELLING_H

#include <stddef.h>

#include "game_queue.h"
#include "options.h"

typedef struct {
    uint64_t seed;
    uint64_t first_game; /* games first_game, first_game + stride, ... */
    uint64_t stride;
    uint32_t n_games; /* side by side */
    zf_label_options labels;
} zf_labelling_config;

typedef struct {
    uint64_t games, plays; /* finished */
    uint64_t labels;       /* decisions labelled */
    uint64_t rollouts;     /* played to their end; one a world and legal play, less those known */
    uint64_t evaluations;  /* observations handed out */
    uint64_t solver_calls; /* positions given to the solver */
} zf_labelling_counts;

typedef struct zf_labelling zf_labelling;

/* NULL when memory is short. */
zf_labelling *zf_labelling_new(const zf_labelling_config *config);
void zf_labelling_free(zf_labelling *t);

/* Most observations that one select hands out. */
size_t zf_labelling_room(const zf_labelling_config *config);

/* Its games; none may be started before it is given a limit. */
zf_game_queue *zf_labelling_queue(zf_labelling *t);

/* Run games and rollouts until they need the network, as many as some milliseconds of solving
 * allow. Observations are packed at the front of obs[zf_labelling_room]; returns how many. 0 =
 * every allowed game is finished. */
size_t zf_labelling_select(zf_labelling *t, zf_obs *obs);

/* Evaluations of the last select's observations, in order: [n][8]; the value is not used. Returns
 * -1, or the first row that is not finite (nothing is applied then). */
int64_t zf_labelling_update(zf_labelling *t, const float *evals);

/* The evaluations to come are another network's. */
void zf_labelling_clear_cache(zf_labelling *t);

void zf_labelling_counts_of(const zf_labelling *t, zf_labelling_counts *out);
size_t zf_labelling_bytes(const zf_labelling *t);

#endif
