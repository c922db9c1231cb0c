#include "tree.h"

#include <math.h>

#include "gumbel.h"
#include "rng.h"

static void clear(zf_tree *t) {
    t->n_nodes = t->n_edges = t->root_visits = t->n_worlds = 0;
    if (t->table) memset(t->table, 0, (t->table_mask + 1) * sizeof *t->table);
}

void zf_tree_reset(zf_tree *t, const zf_state *root) {
    t->root = *root;
    clear(t);
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
    for (int i = 0; i < t->leaf.path.depth; i++) {
        zf_node *node = &t->nodes[t->leaf.path.node[i]];
        zf_edge *edge = &t->edges[node->first_edge + t->leaf.path.edge[i]];
        float v = t->leaf.path.team[i] ? -value_team0 : value_team0;
        edge->total += v;
        edge->visits++;
        node->total += v;
    }
    t->root_visits++;
}

ZF_INLINE void emit_leaf(zf_tree *t, const zf_state *s, zf_obs *leaf) {
    zf_observe(leaf, s);
    t->leaf.legal = leaf->legal;
    t->leaf.team = s->to_play & 1;
}

/* The ending that this position is, or 0. */
ZF_INLINE uint16_t ending_of(const zf_tree *t, uint32_t exact_tricks, const zf_state *s,
                             zf_counts *counts) {
    if (zf_over(s)) return (uint16_t)(ZF_FINISHED + (uint32_t)zf_outcome(s));
    if (exact_tricks == 0) return 0;
    if (zf_decided(s)) return (uint16_t)(ZF_SOLVED + (uint32_t)zf_outcome(s));
    if (ZF_N_TRICKS - s->n_plays / ZF_N_SEATS > (int)exact_tricks) return 0;
    counts->solver_calls++;
    return (uint16_t)(ZF_SOLVED + (uint32_t)zf_solve_outcome(t->solver, s));
}

ZF_INLINE void back_up_ending(zf_tree *t, uint32_t ending, zf_counts *counts) {
    bool solved = ending >= ZF_SOLVED - 1u;
    counts->simulations++;
    counts->solved += solved;
    counts->terminals += !solved;
    back_up(t, (float)((int)ending - (int)(solved ? ZF_SOLVED : ZF_FINISHED)));
}

ZF_INLINE bool is_node(uint32_t behind) { return behind && behind < ZF_FIRST_ENDING; }

/* What starts of tricks must have in common to share a node. Who holds the dominoes that are left
 * and the other side's points follow from the rest. Never 0: somebody leads a domino. */
ZF_INLINE uint64_t trick_key(const zf_state *s, uint32_t world) {
    uint64_t left = s->hand[0] | s->hand[1] | s->hand[2] | s->hand[3];
    return left | (uint64_t)s->to_play << 28 | (uint64_t)s->points[0] << 30 | (uint64_t)world << 36;
}

/* Where the key stands in the table, or the free place where it belongs. */
ZF_INLINE uint16_t *place_of(const zf_tree *t, uint64_t key) {
    uint32_t at = (uint32_t)zf_mix(key) & t->table_mask;
    while (t->table[at] && t->keys[t->table[at]] != key) at = (at + 1) & t->table_mask;
    return &t->table[at];
}

/* What an edge leads to when it is followed for the first time: an ending, a node that another
 * order of play has made, or 0. */
ZF_INLINE uint16_t first_met(zf_tree *t, const zf_search *p, uint32_t world, const zf_state *s,
                             zf_counts *counts) {
    uint16_t behind = ending_of(t, p->exact_tricks, s, counts);
    if (behind || !t->table) return behind;
    t->leaf.key = (s->n_plays & 3) == 0 ? trick_key(s, world) : 0;
    if (t->leaf.key) behind = *place_of(t, t->leaf.key);
    counts->transposed += behind != 0;
    return behind;
}

/* One descent. True: it ended in a leaf without a node; false: in an ending that was backed up. */
ZF_INLINE bool simulate(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts) {
    zf_state s = t->root;
    uint32_t node = 0, depth = 0, world = 0, behind;
    uint16_t *link;
    do {
        const zf_node *nd = &t->nodes[node];
        zf_edge *edges = t->edges + nd->first_edge;
        uint32_t edge = depth == 0 && p->root == ZF_ROOT_GUMBEL
                            ? zf_gumbel_next(t, p)
                            : best_edge(edges, nd->n_edges, nd->total, p->c_puct);
        link = &edges[edge].child;
        if (t->worlds && depth == 0) { /* lay the root out as the edge's next world says */
            world = edges[edge].visits % t->n_worlds;
            zf_worlds_apply(&s, t->worlds[world].hands);
            link = &t->worlds[world].child[edge];
        }
        t->leaf.path.node[depth] = (uint16_t)node;
        t->leaf.path.edge[depth] = (uint8_t)edge;
        t->leaf.path.team[depth++] = s.to_play & 1;
        behind = *link;
        if (behind >= ZF_FIRST_ENDING) break;
        zf_play(&s, zf_select(zf_legal(&s), edge, ZF_MAX_EDGES));
        zf_play_forced(&s);
        if (behind == 0) *link = (uint16_t)(behind = first_met(t, p, world, &s, counts));
        node = behind;
    } while (is_node(behind));
    t->leaf.path.depth = (uint8_t)depth;
    if (behind == 0) {
        t->leaf.link = link;
        emit_leaf(t, &s, leaf);
        return true;
    }
    back_up_ending(t, behind, counts);
    return false;
}

/* Whether the most visited play stays it, whatever the simulations to come do. */
static bool choice_is_final(const zf_tree *t, const zf_search *p) {
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    uint32_t most = 0, second = 0;
    for (uint32_t i = 0; i < t->nodes[0].n_edges; i++) {
        uint32_t n = edges[i].visits;
        second = n > most ? most : n > second ? n : second;
        most = n > most ? n : most;
    }
    return most - second > p->n_simulations - t->root_visits;
}

ZF_HOT zf_step zf_tree_descend(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts) {
    if (t->n_nodes == 0) {
        t->leaf.path.depth = 0;
        t->leaf.key = 0;
        emit_leaf(t, &t->root, leaf);
        return ZF_LEAF;
    }
    bool may_stop = p->early_stop && p->root == ZF_ROOT_PUCT;
    while (t->root_visits < p->n_simulations) {
        if (may_stop && choice_is_final(t, p)) return ZF_STOPPED;
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
    for (uint32_t legal = t->leaf.legal; legal; legal &= legal - 1) {
        t->edges[t->n_edges + n++] =
            (zf_edge){.prior = eval[__builtin_ctz(legal)], .total = 0, .visits = 0, .child = 0};
    }
    node->n_edges = n & 15u;
    t->n_edges += n;
    if (t->table) {
        t->keys[index] = t->leaf.key;
        if (t->leaf.key) *place_of(t, t->leaf.key) = (uint16_t)index;
    }
    if (index == 0) return;
    *t->leaf.link = (uint16_t)index;
    counts->simulations++;
    back_up(t, t->leaf.team ? -eval[7] : eval[7]);
}

/* Mark the nodes below new_root KEPT in scratch, from the node first on; the others get DROPPED. A
 * child stands behind its parent, so that one pass suffices, unless they came to share it later. */
#define DROPPED 0xFFFFu
#define KEPT 0xFFFEu

static void mark_subtree(const zf_tree *t, uint32_t new_root, uint32_t first) {
    uint16_t *mark = t->scratch;
    bool again = true;
    for (uint32_t i = first; i < t->n_nodes; i++) mark[i] = DROPPED;
    mark[new_root] = KEPT;
    while (again) {
        again = false;
        for (uint32_t i = first; i < t->n_nodes; i++) {
            if (mark[i] == DROPPED) continue;
            const zf_edge *edges = t->edges + t->nodes[i].first_edge;
            for (uint32_t k = 0; k < t->nodes[i].n_edges; k++) {
                uint32_t child = edges[k].child;
                if (!is_node(child)) continue;
                again |= child < i && mark[child] == DROPPED;
                mark[child] = KEPT;
            }
        }
    }
}

/* Slide the subtree to the front of the arrays: new_root becomes node 0, the others follow in the
 * order they have. The old root goes, so that all others move down or stay, and so do the edges,
 * which keep the order of the nodes they are read from: it is done in place. */
static void keep_subtree(zf_tree *t, uint32_t new_root) {
    uint32_t n_old = t->n_nodes, next = 1, first = t->table ? 1 : new_root;
    uint16_t *index = t->scratch;
    mark_subtree(t, new_root, first);
    for (uint32_t i = first; i < n_old; i++)
        if (index[i] != DROPPED) index[i] = i == new_root ? 0 : (uint16_t)next++;
    t->n_nodes = next;
    t->n_edges = 0;
    for (uint32_t i = first; i < n_old; i++) {
        if (index[i] == DROPPED) continue;
        zf_node node = t->nodes[i];
        const zf_edge *from = t->edges + node.first_edge;
        node.first_edge = t->n_edges & 0xFFFFFFFu;
        for (uint32_t k = 0; k < node.n_edges; k++) {
            zf_edge edge = from[k];
            if (is_node(edge.child)) edge.child = index[edge.child];
            t->edges[t->n_edges++] = edge;
        }
        t->nodes[index[i]] = node;
        if (t->table) t->keys[index[i]] = t->keys[i];
    }
}

/* Enter the nodes behind the root into the empty table. */
static void fill_table(zf_tree *t) {
    memset(t->table, 0, (t->table_mask + 1) * sizeof *t->table);
    for (uint32_t i = 1; i < t->n_nodes; i++)
        if (t->keys[i]) *place_of(t, t->keys[i]) = (uint16_t)i;
}

uint32_t zf_tree_advance(zf_tree *t, uint32_t edge) {
    uint32_t child = t->edges[t->nodes[0].first_edge + edge].child;
    zf_play(&t->root, zf_select(zf_legal(&t->root), edge, ZF_MAX_EDGES));
    zf_play_forced(&t->root);
    if (!is_node(child)) { /* so always on worlds: there the root's edges have no children */
        clear(t);
        return 0;
    }
    keep_subtree(t, child);
    if (t->table) fill_table(t);
    t->root_visits = 0;
    const zf_edge *edges = t->edges + t->nodes[0].first_edge;
    for (uint32_t i = 0; i < t->nodes[0].n_edges; i++) t->root_visits += edges[i].visits;
    return t->root_visits;
}
