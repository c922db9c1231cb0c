/* Written by tools/gen_options.py from zebfast/core/options.py. Do not edit. */
#ifndef ZF_OPTIONS_H
#define ZF_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { ZF_ROOT_PUCT, ZF_ROOT_GUMBEL } zf_root;

typedef struct {
    /* Visits of the root that end the search of a play. */
    uint32_t n_simulations;
    /* Positions a tree can hold, 64 bytes each. */
    uint32_t max_nodes;
    /* Worlds drawn for each searched play. */
    uint32_t n_worlds;
    /* Positions with at most this many tricks left are valued by the solver, not by the network; 0
     * = none. */
    uint32_t exact_tricks;
    /* Weight of priors in the search. */
    float c_puct;
    /* How a root's simulations are shared out: by visits and priors, or by sequential halving,
     * meant for 16 to 64 of them. */
    zf_root root;
    /* Of plays drawn from visits, or with a teacher from the policy; 0 = best. */
    float temperature;
    /* Share of Dirichlet noise at the root. */
    float noise_fraction;
    /* Parameter of that noise. */
    float noise_alpha;
    /* Of the noise that the gumbel root explores by; 0 = none. */
    float gumbel_scale;
    /* End a search whose most visited play can no longer be overtaken (puct root). */
    bool early_stop;
    /* Orders of play that lead to the same start of a trick share one node in a world. */
    bool transpositions;
    /* Share of plays searched in full and recorded; the others get --fast-simulations and no policy
     * target. */
    float full_share;
    /* Simulations of plays that are not recorded. */
    uint32_t fast_simulations;
    /* Play out hands that one side has won at random, without search and policy targets. */
    bool skip_decided;
} zf_search;

typedef enum { ZF_TEACHER_EXACT, ZF_TEACHER_ROLLOUT } zf_teacher;

typedef struct {
    /* Who labels. */
    zf_teacher teacher;
    /* Share of the decisions that the teacher labels. */
    float label_share;
    /* Worlds that a label is the mean over; 0 = the deal itself, which is one of them. */
    uint32_t n_worlds;
    /* Of the game's plays; 0 = the network's favourites. */
    float temperature;
    /* Share of random plays in a game. */
    float explore;
    /* Rollouts are solved where so many tricks are left. */
    uint32_t exact_tricks;
} zf_label_options;

#endif
