/* The gumbel root: sequential halving over all legal plays, completed values, improved policy.
 *
 * Danihelka, Guez, Schrittwieser and Silver, "Policy improvement by planning with Gumbel" (ICLR
 * 2022), with the schedule and the mixed value of its implementation mctx. Each play starts with its
 * lead: logit of the prior plus Gumbel noise. Every play is tried, the better half is tried again,
 * and so on down to two. "Better" is lead + sigma(q), where a play's value q, from 0 to 1, counts
 *
 *     sigma(q) = (ZF_C_VISIT + most visits of a play) * ZF_C_SCALE * q
 *
 * nats. The play is the best of those that were tried most; the policy target is
 * softmax(logit + sigma(q)) over all legal plays, where an unvisited play has the mixed value: the
 * node's own evaluation and the visited plays' values, weighted by priors and number of visits.
 *
 * ZF_C_VISIT is the paper's. Its scale is 1 for chess and Go and 0.1 for Atari; what it should be
 * follows from the values, which are means of few wins and losses here: 16 to 64 simulations on
 * sampled worlds with exact endings gave the targets with the least expected loss where the factor
 * of q was 12 to 20, so ZF_C_SCALE makes it 14 to 17. Values are not rescaled to the range seen, as
 * mctx does: at a root where all plays win that would make differences out of nothing.
 *
 * Visits that the tree had before (on the true deal) count in values and in "most visits", not in
 * the schedule: it shares out the simulations that are left as if no play had been tried.
 *
 * All of this is in double and in a fixed order of operations; exp and log are libm's. Twin:
 * tests/support/slow_gumbel.py. */
#ifndef ZF_GUMBEL_H
#define ZF_GUMBEL_H

#include "tree.h"

#define ZF_C_VISIT 50.0
#define ZF_C_SCALE 0.25

/* Start a search: set the leads of the expanded root from (seed, GUMBEL, game, ply). */
void zf_gumbel_open(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t game);

/* Edge of the next simulation. */
uint32_t zf_gumbel_next(const zf_tree *t, const zf_search *p);

/* Edge to play. */
uint32_t zf_gumbel_best(const zf_tree *t);

/* The improved policy, scaled so that the likeliest play has 65535. */
void zf_gumbel_policy(const zf_tree *t, uint16_t weights[ZF_MAX_EDGES]);

#endif
