#include "tree.h"

#include <math.h>

#include "rng.h"

void zf_tree_reset(zf_tree *t, const zf_state *root) {
    t->root = *root;
    t->n_nodes = t->n_edges = t->root_visits = 0;
    t->pending = 0;
}

/* PUCT: mean value (of unvisited plays: the node's own mean) plus c * prior * sqrt(visits) / (1 + n).
 * Ties go to the lowest slot. The twin repeats these float operations in this order. */
ZF_INLINE uint32_t best_edge(const zf_edge *edges, uint32_t n, float node_total, float c_puct) {
    uint32_t visits = 1, best = 0;
    float best_score = -INFINITY;
    for (uint32_t i = 0; i < n; i++) visits += edges[i].visits;
    float explore = c_puct * sqrtf((float)visits);
    float unvisited = node_total / (float)visits;
    for (uint32_t i = 0; i < n; i++) {
        float count = (float)edges[i].visits;
        float q = edges[i].visits ? edges[i].total / count : unvisited;
        float score = q + explore * edges[i].prior / (1.0f + count);
        best = score > best_score ? i : best;
        best_score = score > best_score ? score : best_score;
    }
    return best;
}

ZF_INLINE void back_up(zf_tree *t, float value_team0) {
    for (int i = 0; i < t->depth; i++) {
        zf_node *node = &t->nodes[t->path_node[i]];
        zf_edge *edge = &t->edges[node->first_edge + t->path_edge[i]];
        float v = t->path_team[i] ? -value_team0 : value_team0;
        edge->total += v;
        edge->visits++;
        node->total += v;
    }
    t->root_visits++;
}

ZF_INLINE void emit_leaf(zf_tree *t, const zf_state *s, zf_obs *leaf, zf_counts *counts) {
    zf_observe(leaf, s);
    t->leaf_legal = leaf->legal;
    t->leaf_team = s->to_play & 1;
    t->pending = 1;
    counts->evaluations++;
}

/* One descent. True: it ended in a leaf without a node; false: the game ended and was backed up. */
ZF_INLINE bool simulate(zf_tree *t, float c_puct, zf_obs *leaf, zf_counts *counts) {
    zf_state s = t->root;
    uint32_t node = 0, depth = 0;
    do {
        const zf_node *nd = &t->nodes[node];
        const zf_edge *edges = t->edges + nd->first_edge;
        uint32_t edge = best_edge(edges, nd->n_edges, nd->total, c_puct);
        t->path_node[depth] = (uint16_t)node;
        t->path_edge[depth] = (uint8_t)edge;
        t->path_team[depth++] = s.to_play & 1;
        zf_play(&s, zf_select(zf_legal(&s), edge, ZF_MAX_EDGES));
        zf_play_forced(&s);
        node = edges[edge].child;
    } while (node);
    t->depth = (uint8_t)depth;
    if (!zf_over(&s)) {
        emit_leaf(t, &s, leaf, counts);
        return true;
    }
    counts->simulations++;
    counts->terminals++;
    back_up(t, (float)zf_outcome(&s));
    return false;
}

ZF_HOT zf_step zf_tree_descend(zf_tree *t, const zf_search *p, zf_obs *leaf,
                                    zf_counts *counts) {
    if (t->n_nodes == 0) {
        t->depth = 0;
        emit_leaf(t, &t->root, leaf, counts);
        return ZF_LEAF;
    }
    while (t->root_visits < p->n_simulations) {
        /* Room is asked for before the descent, so that no evaluation is ever thrown away. */
        if (t->n_nodes >= p->max_nodes ||
            t->n_edges + ZF_MAX_EDGES > zf_edge_capacity(p->max_nodes))
            return ZF_FULL;
        if (simulate(t, p->c_puct, leaf, counts)) return ZF_LEAF;
    }
    return ZF_COMPLETE;
}

ZF_HOT void zf_tree_expand(zf_tree *t, const float eval[8], zf_counts *counts) {
    uint32_t index = t->n_nodes++;
    zf_node *node = &t->nodes[index];
    uint32_t n = 0;
    node->first_edge = t->n_edges;
    node->total = eval[7];
    for (uint32_t legal = t->leaf_legal; legal; legal &= legal - 1) {
        t->edges[t->n_edges + n++] =
            (zf_edge){.prior = eval[__builtin_ctz(legal)], .total = 0, .visits = 0, .child = 0};
    }
    node->n_edges = n & 15u;
    t->n_edges += n;
    t->pending = 0;
    if (index == 0) return;
    uint32_t last = t->depth - 1u;
    t->edges[t->nodes[t->path_node[last]].first_edge + t->path_edge[last]].child = (uint16_t)index;
    counts->simulations++;
    back_up(t, t->leaf_team ? -eval[7] : eval[7]);
}

/* Number the nodes below new_root in ascending order; the others get DROPPED. A child always stands
 * behind its parent, so one pass suffices. */
#define DROPPED 0xFFFFu
#define KEPT 0xFFFEu

static void number_subtree(const zf_tree *t, uint32_t new_root) {
    uint16_t *index = t->scratch;
    uint16_t next = 0;
    for (uint32_t i = new_root; i < t->n_nodes; i++) index[i] = DROPPED;
    index[new_root] = KEPT;
    for (uint32_t i = new_root; i < t->n_nodes; i++) {
        if (index[i] == DROPPED) continue;
        index[i] = next++;
        const zf_edge *edges = t->edges + t->nodes[i].first_edge;
        for (uint32_t k = 0; k < t->nodes[i].n_edges; k++)
            if (edges[k].child) index[edges[k].child] = KEPT;
    }
}

/* Slide the subtree to the front of the arrays. Everything moves down or stays, so it is done in
 * place. */
static void keep_subtree(zf_tree *t, uint32_t new_root) {
    uint32_t n_old = t->n_nodes;
    number_subtree(t, new_root);
    t->n_nodes = t->n_edges = 0;
    for (uint32_t i = new_root; i < n_old; i++) {
        if (t->scratch[i] == DROPPED) continue;
        zf_node node = t->nodes[i];
        const zf_edge *from = t->edges + node.first_edge;
        node.first_edge = t->n_edges & 0xFFFFFFFu;
        for (uint32_t k = 0; k < node.n_edges; k++) {
            zf_edge edge = from[k];
            edge.child = edge.child ? t->scratch[edge.child] : 0;
            t->edges[t->n_edges++] = edge;
        }
        t->nodes[t->n_nodes++] = node;
    }
}

uint32_t zf_tree_advance(zf_tree *t, uint32_t edge) {
    const zf_edge *played = &t->edges[t->nodes[0].first_edge + edge];
    uint32_t child = played->child;
    uint32_t kept = child ? played->visits - 1u : 0; /* one of them made the child */
    zf_play(&t->root, zf_select(zf_legal(&t->root), edge, ZF_MAX_EDGES));
    zf_play_forced(&t->root);
    if (child)
        keep_subtree(t, child);
    else
        t->n_nodes = t->n_edges = 0;
    t->root_visits = kept;
    return kept;
}

/* A standard normal from two draws (Box and Muller). */
static double normal(uint64_t key, uint64_t index) {
    double u = zf_unit(key, index), v = zf_unit(key, index + 1);
    return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}

/* A gamma variate (Marsaglia and Tsang 2000, with their boost below 1). Draw numbers from *index. */
static double gamma_variate(double alpha, uint64_t key, uint64_t *index) {
    double boost = 1.0;
    if (alpha < 1.0) {
        boost = pow(1.0 - zf_unit(key, (*index)++), 1.0 / alpha);
        alpha += 1.0;
    }
    double d = alpha - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = normal(key, *index), u = 1.0 - zf_unit(key, *index + 2);
        *index += 3;
        double v = 1.0 + c * x;
        if (v <= 0.0) continue;
        v = v * v * v;
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return boost * d * v;
    }
}

void zf_tree_add_noise(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t game) {
    zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint32_t n = t->nodes[0].n_edges;
    uint64_t key = zf_stream_key(seed, ZF_STREAM_NOISE, game);
    uint64_t index = (uint64_t)t->root.n_plays << 32; /* no two plays of a game share draws */
    double noise[ZF_MAX_EDGES], sum = 0.0;
    for (uint32_t i = 0; i < n; i++) sum += noise[i] = gamma_variate(p->noise_alpha, key, &index);
    if (!(sum > 0.0)) return; /* every variate underflowed: leave the priors as they are */
    for (uint32_t i = 0; i < n; i++)
        edges[i].prior = (1.0f - p->noise_fraction) * edges[i].prior +
                         p->noise_fraction * (float)(noise[i] / sum);
}

static uint32_t most_visited(const zf_edge *edges, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (edges[i].visits > edges[best].visits) best = i;
    return best;
}

uint32_t zf_tree_choose(const zf_tree *t, float temperature, uint64_t bits) {
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
