/* Rollouts: games that go on side by side, each until a number of plays is made in it.
 *
 * Forced plays are made, and where a seat has a choice it plays the network's favourite: by a
 * network that is asked here, or by one outside, to which the observations are handed out. Players
 * and teacher (labelling.c) roll out by the same steps. Twin: tests/support/slow_rollouts.py, one
 * game at a time by the plain rules. */
#ifndef ZF_ROLLOUTS_H
#define ZF_ROLLOUTS_H

#include <stddef.h>

#include "net.h"
#include "policy.h"
#include "records.h"
#include "state.h"

/* Forced plays until a game has so many plays. The legal dominoes of the choice it comes to, or 0. */
ZF_INLINE uint32_t zf_rollout_to_choice(zf_state *s, int until) {
    while (s->n_plays < until) {
        uint32_t legal = zf_legal(s);
        if (legal & (legal - 1)) return legal;
        zf_play(s, (uint32_t)__builtin_ctz(legal));
    }
    return 0;
}

/* The legal slot of the largest prior is played, the lowest of equals. */
ZF_INLINE void zf_rollout_greedy(zf_state *s, const float priors[ZF_HAND_SIZE]) {
    uint32_t slots = zf_compress(zf_legal(s), s->dealt[s->to_play]);
    zf_play(s, zf_slot_domino(s, zf_greedy_slot(priors, slots)));
}

/* Make the forced plays of the rollouts live[0..n), each until its until[rollout] plays are made,
 * and write the observation of every one that then has a choice. live keeps those, in the order
 * they were in; returns how many. */
size_t zf_rollouts_advance(zf_state *s, const uint8_t *until, int64_t *live, size_t n,
                           zf_obs *obs);

/* Each rollout of live plays greedily. evals is [n][8], seven priors and a value. */
void zf_rollouts_greedy(zf_state *s, const int64_t *live, size_t n, const float *evals);

/* What may end a rollout before: the network's value of its player's first choice once `since`
 * plays are made. All of it by rollout. */
typedef struct {
    const uint8_t *player, *since;
    float *value; /* written for those that end so */
} zf_rollout_values;

/* By which the opponents of each rollout's player play, in place of the network. Its random number
 * is made of what the seat sees in the layout: the same sight, the same number. */
typedef struct {
    zf_policy_player player;
    const uint8_t *players; /* by rollout: whose opponents they are */
    uint8_t bid;            /* told of a hand without a contract */
    zf_policy_run *run;     /* at: the rollout that is asked about */
} zf_rollout_model;

typedef enum {
    ZF_ROLLOUTS_DONE,
    ZF_ROLLOUTS_OPEN,     /* the time is up */
    ZF_ROLLOUTS_REFUSED,  /* the network's answer to some choice is not finite */
    ZF_ROLLOUTS_UNUSABLE, /* the model's is not legal: run->at says where, as it stands */
} zf_rollouts_end;

/* Roll live[0..*n) out, for so many seconds at most (but a batch at least): a few hundred at a
 * time, so that all of them stay in the cache and batches stay full. live and *n become those that
 * are not done. values and model may be NULL. Threads may share net, and each its own part of live,
 * with a model of its own. */
zf_rollouts_end zf_rollouts_run(zf_net *net, zf_state *s, const uint8_t *until,
                                const zf_rollout_values *values, zf_rollout_model *model,
                                int64_t *live, size_t *n, double seconds);

#endif
