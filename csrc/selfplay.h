/* Many games of self-play at once, one tree each: search, choose, play, record, deal the next. */
#ifndef ZF_SELFPLAY_H
#define ZF_SELFPLAY_H

#include "game_queue.h"
#include "policy.h"
#include "tree.h"

typedef enum {
    ZF_WORLDS_TRUE,    /* trees grow on the true deal: the published, clairvoyant way */
    ZF_WORLDS_SAMPLED, /* on worlds drawn from what the seat to play knows */
} zf_worlds;

typedef struct {
    zf_search search;
    uint64_t seed;
    uint64_t first_game; /* games first_game, first_game + stride, ... */
    uint64_t stride;
    uint32_t n_trees;
    zf_worlds worlds;
    size_t cache_bytes; /* of evaluations by information state; 0 = none are remembered */
    zf_policy_player opponent; /* answer NULL: nobody. Plays for one side of some games */
    float opponent_share;      /* of the games that it plays in */
    zf_policy_run *asking;     /* at: the game that it is asked in, as the randomness sees it */
} zf_selfplay_config;

typedef struct zf_selfplay zf_selfplay;

/* NULL when memory is short. */
zf_selfplay *zf_selfplay_new(const zf_selfplay_config *config);
void zf_selfplay_free(zf_selfplay *f);

/* Its games; none may be started before it is given a limit. */
zf_game_queue *zf_selfplay_queue(zf_selfplay *f);

/* Run every tree to its next leaf whose evaluation is not remembered. Leaves are packed at the front
 * of leaves[n_trees]; returns how many. 0 = every allowed game is finished, or an answer of the
 * opponent is not legal: then all of it is over. */
size_t zf_selfplay_select(zf_selfplay *f, zf_obs *leaves);

/* Evaluations of the leaves of the last select, in order: [n][8]. Returns -1, or the first row that
 * is not finite (nothing is applied then). */
int64_t zf_selfplay_update(zf_selfplay *f, const float *evals);

/* Forget the evaluations: those to come are another network's. */
void zf_selfplay_clear_cache(zf_selfplay *f);

/* Whether an answer of the opponent was not legal; how many were replaced. */
bool zf_selfplay_refused(const zf_selfplay *f);
int64_t zf_selfplay_replaced(const zf_selfplay *f);

/* The game that the opponent is being asked in, or was refused in; NULL where it never was asked. */
const zf_state *zf_selfplay_asked(const zf_selfplay *f);

void zf_selfplay_counts(const zf_selfplay *f, zf_counts *out);
size_t zf_selfplay_bytes(const zf_selfplay *f);

#endif
