/* The root of a search: what is drawn before it, and what is read off it afterwards. */
#include <math.h>

#include "gumbel.h"
#include "rng.h"
#include "tree.h"

/* A standard normal from two draws (Box and Muller). */
static double normal(uint64_t key, uint64_t index) {
    double u = zf_unit(key, index), v = zf_unit(key, index + 1);
    return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}

/* A gamma variate (Marsaglia and Tsang 2000, with their boost below 1). Draw numbers from *index.
 * Each try is taken with 95 % or more; it ends for any alpha, if with the mean or with no number. */
static double gamma_variate(double alpha, uint64_t key, uint64_t *index) {
    double boost = 1.0;
    if (alpha < 1.0) {
        boost = pow(1.0 - zf_unit(key, (*index)++), 1.0 / alpha);
        alpha += 1.0;
    }
    double d = alpha - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (int tries = 0; tries < 100; tries++) {
        double x = normal(key, *index), u = 1.0 - zf_unit(key, *index + 2);
        *index += 3;
        double v = 1.0 + c * x;
        if (v <= 0.0) continue;
        v = v * v * v;
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return boost * d * v;
    }
    return boost * d;
}

static void add_noise(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t game) {
    zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint32_t n = t->nodes[0].n_edges;
    uint64_t key = zf_stream_key(seed, ZF_STREAM_NOISE, game);
    uint64_t index = (uint64_t)t->root.n_plays << 32; /* no two plays of a game share draws */
    double noise[ZF_MAX_EDGES], sum = 0.0;
    for (uint32_t i = 0; i < n; i++) sum += noise[i] = gamma_variate(p->noise_alpha, key, &index);
    /* Every variate underflowed, or is no number: leave the priors as they are. */
    if (!(sum > 0.0 && sum < HUGE_VAL)) return;
    for (uint32_t i = 0; i < n; i++)
        edges[i].prior = (1.0f - p->noise_fraction) * edges[i].prior +
                         p->noise_fraction * (float)(noise[i] / sum);
}

/* Lay out all worlds of the set, in the order that the draws say (Fisher and Yates). */
static void all_worlds(zf_tree *t, const zf_world_set *set, uint64_t key, uint64_t first) {
    for (uint32_t i = 0; i < t->n_worlds; i++) zf_worlds_unrank(set, i, t->worlds[i].hands);
    for (uint32_t i = 0; i < t->n_worlds; i++) {
        zf_world *other = &t->worlds[i + zf_bounded(key, first + i, t->n_worlds - i)];
        zf_world drawn = *other;
        *other = t->worlds[i];
        t->worlds[i] = drawn;
    }
}

static void some_worlds(zf_tree *t, const zf_world_set *set, uint64_t key, uint64_t first) {
    uint32_t hands[16][4]; /* worlds drawn together are drawn faster */
    for (uint32_t i = 0; i < t->n_worlds; i += 16) {
        uint32_t n = t->n_worlds - i < 16 ? t->n_worlds - i : 16;
        zf_worlds_sample_many(set, key, first + i, n, hands);
        for (uint32_t k = 0; k < n; k++)
            memcpy(t->worlds[i + k].hands, hands[k], sizeof hands[k]);
    }
}

static void draw_worlds(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t stream,
                        uint64_t game) {
    if (!t->worlds) return;
    zf_world_set set;
    uint64_t count = zf_worlds_init(&set, &t->root, t->root.to_play);
    uint32_t room = zf_worlds_room(p);
    uint64_t key = zf_stream_key(seed, stream, game);
    uint64_t first = (uint64_t)t->root.n_plays << 32; /* no two plays of a game share draws */
    t->n_worlds = count <= room ? (uint32_t)count : room;
    memset(t->worlds, 0, t->n_worlds * sizeof *t->worlds);
    if (count <= room)
        all_worlds(t, &set, key, first);
    else
        some_worlds(t, &set, key, first);
}

void zf_tree_open(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t stream, uint64_t game) {
    if (p->noise_fraction > 0.0f) add_noise(t, p, seed, game);
    if (p->root == ZF_ROOT_GUMBEL) zf_gumbel_open(t, p, seed, game);
    draw_worlds(t, p, seed, stream, game);
}

static uint32_t most_visited(const zf_edge *edges, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (edges[i].visits > edges[best].visits) best = i;
    return best;
}

uint32_t zf_tree_choose(const zf_tree *t, const zf_search *p, float temperature, uint64_t bits) {
    if (p->root == ZF_ROOT_GUMBEL) return zf_gumbel_best(t);
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint32_t n = t->nodes[0].n_edges, best = most_visited(edges, n);
    if (temperature == 0.0f || t->root_visits == 0) return best;
    double weight[ZF_MAX_EDGES], sum = 0.0, top = edges[best].visits;
    for (uint32_t i = 0; i < n; i++) {
        double share = edges[i].visits / top;
        sum += weight[i] = temperature == 1.0f ? share : pow(share, 1.0 / temperature);
    }
    double at = (double)(bits >> 11) * 0x1p-53 * sum;
    for (uint32_t i = 0; i < n; i++) {
        if (edges[i].visits && at < weight[i]) return i;
        at -= weight[i];
    }
    return best;
}

void zf_tree_policy(const zf_tree *t, const zf_search *p, uint16_t weights[ZF_MAX_EDGES]) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    if (p->root == ZF_ROOT_GUMBEL)
        zf_gumbel_policy(t, weights);
    else
        for (uint32_t i = 0; i < t->nodes[0].n_edges; i++) weights[i] = edges[i].visits;
}
