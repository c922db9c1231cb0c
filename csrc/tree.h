/* One search tree of the batched MCTS forest: PUCT over decision positions of one deal.
 *
 * A node is a position where the seat to play has a choice. It is made when the network first sees
 * it: all its legal plays become edges at once, with the priors of that one evaluation. Forced
 * plays have no node: an edge leads past them to the next decision or to the end of the game,
 * which is scored here and never sent to the network. Each simulation adds at most one node.
 *
 * Twin: tests/support/slow_tree.py, compared node by node, bit for bit. */
#ifndef ZF_TREE_H
#define ZF_TREE_H

#include <stddef.h>

#include "observe.h"
#include "state.h"

#define ZF_MAX_EDGES 7
#define ZF_MIN_NODES 8
#define ZF_MAX_NODES 65000 /* children are 16-bit node indices, 0 = none */
#define ZF_MAX_VISITS 65535

typedef struct {
    float total; /* sum of simulation values for the side to play at the node */
    float prior;
    uint16_t visits;
    uint16_t child; /* node behind this edge; 0 = not there (unvisited, or the game is over) */
} zf_edge;
_Static_assert(sizeof(zf_edge) == 12, "64 bytes a node");

typedef struct {
    uint32_t first_edge : 28;
    uint32_t n_edges : 4;
    float total; /* sum of values seen here, the network's own first, for the side to play */
} zf_node;
_Static_assert(sizeof(zf_node) == 8, "64 bytes a node");

/* A tree owns 8 bytes a node, 9/2 edges of 12 bytes a node and, even alone in its forest, 2 bytes a
 * node of scratch: 64 bytes in all. Nodes have 4.3 edges in the mean at the first play and fewer later, so only
 * trees of unusually wide positions are full before they have max_nodes. */
ZF_INLINE uint32_t zf_edge_capacity(uint32_t max_nodes) { return max_nodes * 9 / 2; }

typedef struct {
    float c_puct;
    uint32_t n_simulations; /* visits of the root's edges at which a search is complete */
    uint32_t max_nodes;
    float temperature;     /* of the play chosen from visits; 0 = most visited */
    float noise_alpha;     /* Dirichlet parameter */
    float noise_fraction;  /* share of noise in the root's priors; 0 = none */
} zf_search;

typedef struct {
    uint64_t simulations; /* descents, each backed up once */
    uint64_t evaluations; /* leaves handed out */
    uint64_t terminals;   /* simulations that ended the game */
    uint64_t reused;      /* root visits inherited from the tree of the play before */
    uint64_t full;        /* searches cut short because the tree was full */
    uint64_t searches;    /* decisions searched */
    uint64_t games;       /* games finished */
    uint64_t plays;       /* dominoes played, forced ones included */
} zf_counts;

typedef struct {
    zf_state root;
    zf_node *nodes;
    zf_edge *edges;
    uint16_t *scratch; /* max_nodes entries; trees worked on by one thread share it */
    uint32_t n_nodes, n_edges;
    uint32_t root_visits; /* visits over the root's edges */
    /* the leaf that waits for its evaluation */
    uint8_t depth, leaf_legal, leaf_team, pending;
    uint16_t path_node[ZF_N_PLIES];
    uint8_t path_edge[ZF_N_PLIES];
    uint8_t path_team[ZF_N_PLIES];
} zf_tree;

typedef enum {
    ZF_LEAF,     /* a leaf was written and waits for its evaluation */
    ZF_COMPLETE, /* the root has its visits */
    ZF_FULL,     /* no room for another node: the search ends with the visits it has */
} zf_step;

/* Start a tree at a decision position. */
void zf_tree_reset(zf_tree *t, const zf_state *root);

/* Simulate until a leaf needs the network or the search is over. Finished games are scored and
 * backed up on the way. */
zf_step zf_tree_descend(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts);

/* Give the waiting leaf its evaluation (seven priors by slot, value for the seat to play): make
 * its node, back the value up. The first evaluation makes the root and is no simulation. */
void zf_tree_expand(zf_tree *t, const float eval[8], zf_counts *counts);

/* Move the root along its edge-th play and any forced plays behind it, keeping the subtree. The
 * new root is a decision or the end of the game. Returns the visits kept. */
uint32_t zf_tree_advance(zf_tree *t, uint32_t edge);

/* Mix Dirichlet noise into the priors of the expanded root; draws from (seed, NOISE, game, ply). */
void zf_tree_add_noise(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t game);

/* Edge to play at the expanded, searched root: by visits and temperature, one draw of bits. */
uint32_t zf_tree_choose(const zf_tree *t, float temperature, uint64_t bits);

/* Forced plays from a position on, until a decision or the end. */
ZF_INLINE void zf_play_forced(zf_state *s) {
    for (uint32_t legal = zf_legal(s); legal && (legal & (legal - 1)) == 0; legal = zf_legal(s))
        zf_play(s, (uint32_t)__builtin_ctz(legal));
}

#endif
