#include "tree.h"

#include <math.h>

#include "rng.h"

#define ZF_HALF 21 /* of the hand's 42 points */

void zf_tree_reset(zf_tree *t, const zf_state *root) {
    t->root = *root;
    t->n_nodes = t->n_edges = t->root_visits = t->n_worlds = 0;
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

/* The ending that this position is, or 0. Decided: the other side can no longer draw level. */
ZF_INLINE uint16_t ending_of(const zf_tree *t, uint32_t exact_tricks, const zf_state *s) {
    if (zf_over(s)) return (uint16_t)(ZF_FINISHED + (uint32_t)zf_outcome(s));
    if (exact_tricks == 0) return 0;
    if (s->points[0] > ZF_HALF) return ZF_SOLVED + 1;
    if (s->points[1] > ZF_HALF) return ZF_SOLVED - 1;
    if (ZF_N_TRICKS - s->n_plays / 4u > exact_tricks) return 0;
    return (uint16_t)(ZF_SOLVED + (uint32_t)zf_solve_outcome(t->solver, s));
}

ZF_INLINE void back_up_ending(zf_tree *t, uint32_t ending, zf_counts *counts) {
    bool solved = ending >= ZF_SOLVED - 1u;
    counts->simulations++;
    counts->solved += solved;
    counts->terminals += !solved;
    back_up(t, (float)((int)ending - (int)(solved ? ZF_SOLVED : ZF_FINISHED)));
}

/* Lay the root out as the edge's next world says. Returns where that world keeps its child. */
ZF_INLINE uint16_t *enter_world(zf_tree *t, uint32_t edge, uint32_t visits, zf_state *s) {
    zf_world *world = &t->worlds[visits % t->n_worlds];
    zf_worlds_apply(s, world->hands);
    return &world->child[edge];
}

/* One descent. True: it ended in a leaf without a node; false: in an ending that was backed up. */
ZF_INLINE bool simulate(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts) {
    zf_state s = t->root;
    uint32_t node = 0, depth = 0, behind;
    uint16_t *link;
    do {
        const zf_node *nd = &t->nodes[node];
        zf_edge *edges = t->edges + nd->first_edge;
        uint32_t edge = best_edge(edges, nd->n_edges, nd->total, p->c_puct);
        link = t->worlds && depth == 0 ? enter_world(t, edge, edges[edge].visits, &s)
                                       : &edges[edge].child;
        t->path_node[depth] = (uint16_t)node;
        t->path_edge[depth] = (uint8_t)edge;
        t->path_team[depth++] = s.to_play & 1;
        behind = *link;
        if (behind >= ZF_FIRST_ENDING) break;
        zf_play(&s, zf_select(zf_legal(&s), edge, ZF_MAX_EDGES));
        zf_play_forced(&s);
        node = behind;
    } while (node);
    t->depth = (uint8_t)depth;
    if (behind == 0) *link = (uint16_t)(behind = ending_of(t, p->exact_tricks, &s));
    if (behind == 0) {
        t->link = link;
        emit_leaf(t, &s, leaf, counts);
        return true;
    }
    back_up_ending(t, behind, counts);
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
        if (simulate(t, p, leaf, counts)) return ZF_LEAF;
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
    *t->link = (uint16_t)index;
    counts->simulations++;
    back_up(t, t->leaf_team ? -eval[7] : eval[7]);
}

/* Number the nodes below new_root in ascending order; the others get DROPPED. A child always stands
 * behind its parent, so one pass suffices. */
#define DROPPED 0xFFFFu
#define KEPT 0xFFFEu

ZF_INLINE bool is_node(uint32_t child) { return child && child < ZF_FIRST_ENDING; }

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
            if (is_node(edges[k].child)) index[edges[k].child] = KEPT;
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
            if (is_node(edge.child)) edge.child = t->scratch[edge.child];
            t->edges[t->n_edges++] = edge;
        }
        t->nodes[t->n_nodes++] = node;
    }
}

uint32_t zf_tree_advance(zf_tree *t, uint32_t edge) {
    const zf_edge *played = &t->edges[t->nodes[0].first_edge + edge];
    uint32_t child = played->child;
    bool keeps = is_node(child); /* never on worlds: there the root's edges have no children */
    uint32_t kept = keeps ? played->visits - 1u : 0; /* one of them made the child */
    zf_play(&t->root, zf_select(zf_legal(&t->root), edge, ZF_MAX_EDGES));
    zf_play_forced(&t->root);
    if (keeps)
        keep_subtree(t, child);
    else
        t->n_nodes = t->n_edges = 0;
    t->n_worlds = 0;
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

void zf_tree_draw_worlds(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t stream,
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
