#include "gumbel.h"

#include <float.h>
#include <math.h>

#include "rng.h"

/* A prior may have underflowed; its play is legal all the same. */
static double logit(const zf_edge *edge) {
    return log(edge->prior > FLT_MIN ? (double)edge->prior : (double)FLT_MIN);
}

/* A standard Gumbel variate; the uniform one behind it is neither 0 nor 1. */
static double gumbel(uint64_t bits) {
    return -log(-log(((double)(bits >> 12) + 0.5) * 0x1p-52));
}

void zf_gumbel_open(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t game) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint64_t key = zf_stream_key(seed, ZF_STREAM_GUMBEL, game);
    uint64_t first = (uint64_t)t->root.n_plays << 32; /* no two plays of a game share draws */
    for (uint32_t i = 0; i < t->nodes[0].n_edges; i++) {
        double noise = p->gumbel_scale > 0 ? gumbel(zf_bits(key, first + i)) : 0.0;
        t->gumbel.lead[i] = logit(&edges[i]) + (double)p->gumbel_scale * noise;
        t->gumbel.inherited[i] = edges[i].visits;
    }
    t->gumbel.n_inherited = t->root_visits;
}

/* Mean value of an edge for the side to play, 0 for a loss to 1 for a win. */
static double value_of(const zf_edge *edge) {
    return ((double)edge->total / (double)edge->visits + 1.0) * 0.5;
}

/* Value of the plays that were not visited. */
static double mixed_value(const zf_tree *t) {
    const zf_node *root = &t->nodes[0];
    const zf_edge *edges = t->edges + root->first_edge;
    double own = root->total, visits = 0.0, mass = 0.0, mean = 0.0;
    for (uint32_t i = 0; i < root->n_edges; i++) {
        if (!edges[i].visits) continue;
        double prior = edges[i].prior > FLT_MIN ? (double)edges[i].prior : (double)FLT_MIN;
        own -= (double)edges[i].total; /* what remains is the root's own evaluation */
        visits += edges[i].visits;
        mass += prior;
        mean += prior * value_of(&edges[i]);
    }
    own = (own + 1.0) * 0.5;
    return visits > 0.0 ? (own + visits * (mean / mass)) / (visits + 1.0) : own;
}

/* sigma of every play's completed value. */
static void sigmas(const zf_tree *t, double sigma[ZF_MAX_EDGES]) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint32_t n = t->nodes[0].n_edges, most = 0;
    double mixed = mixed_value(t);
    for (uint32_t i = 0; i < n; i++) most = edges[i].visits > most ? edges[i].visits : most;
    double scale = (ZF_C_VISIT + (double)most) * ZF_C_SCALE;
    for (uint32_t i = 0; i < n; i++)
        sigma[i] = scale * (edges[i].visits ? value_of(&edges[i]) : mixed);
}

/* Visits of this search that a play must have to be given the simulation number index of so many:
 * mctx's table of considered visits, worked out entry by entry. */
static uint32_t level_of(uint32_t n_plays, uint32_t n_simulations, uint32_t index) {
    uint32_t halvings = n_plays > 4 ? 3 : n_plays > 2 ? 2 : 1, considered = n_plays, level = 0;
    for (;;) {
        uint32_t rounds = n_simulations / (halvings * considered);
        rounds = rounds ? rounds : 1;
        if (index < rounds * considered) return level + index / considered;
        index -= rounds * considered;
        level += rounds;
        considered = considered / 2 > 2 ? considered / 2 : 2;
    }
}

static uint32_t best_at(const zf_tree *t, uint32_t level) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    double sigma[ZF_MAX_EDGES], best_score = -INFINITY;
    uint32_t best = 0;
    sigmas(t, sigma);
    for (uint32_t i = 0; i < t->nodes[0].n_edges; i++) {
        double score = t->gumbel.lead[i] + sigma[i];
        uint32_t visits = (uint32_t)(edges[i].visits - t->gumbel.inherited[i]);
        if (visits != level || !(score > best_score)) continue;
        best = i;
        best_score = score;
    }
    return best;
}

uint32_t zf_gumbel_next(const zf_tree *t, const zf_search *p) {
    uint32_t before = t->gumbel.n_inherited;
    uint32_t level = level_of(t->nodes[0].n_edges, p->n_simulations - before,
                              t->root_visits - before);
    return best_at(t, level);
}

uint32_t zf_gumbel_best(const zf_tree *t) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint32_t most = 0;
    for (uint32_t i = 0; i < t->nodes[0].n_edges; i++) {
        uint32_t visits = (uint32_t)(edges[i].visits - t->gumbel.inherited[i]);
        most = visits > most ? visits : most;
    }
    return best_at(t, most);
}

void zf_gumbel_policy(const zf_tree *t, uint16_t weights[ZF_MAX_EDGES]) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    double score[ZF_MAX_EDGES], best = -INFINITY;
    uint32_t n = t->nodes[0].n_edges;
    sigmas(t, score);
    for (uint32_t i = 0; i < n; i++) {
        score[i] += logit(&edges[i]);
        best = score[i] > best ? score[i] : best;
    }
    for (uint32_t i = 0; i < n; i++)
        weights[i] = (uint16_t)(exp(score[i] - best) * 65535.0 + 0.5);
}
