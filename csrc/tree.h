/* One search tree of the batched MCTS forest: PUCT over decision positions.
 *
 * A node is a position where the seat to play has a choice. It is made when the network first sees
 * it: all its legal plays become edges at once, with the priors of that one evaluation. Forced
 * plays have no node: an edge leads past them to the next decision or to an ending, whose value is
 * known here and never asked of the network: the game is over, or (where exact endings are on) it
 * is decided or has so few tricks left that the solver values it. An edge remembers its ending, so
 * that nothing is solved twice. Each simulation adds at most one node.
 *
 * A tree grows on the true deal, or on sampled worlds: layouts of the hidden dominoes that agree
 * with everything the seat to play at the root knows. The root is then one information set: its
 * node, priors, visits and totals are shared by all worlds, and below each of its edges every world
 * has a subtree of its own. The n-th visit of an edge searches world n mod W: all edges of the root
 * are compared on the same worlds in the same order. The search never reads who really holds what.
 *
 * How the root's simulations are shared out is the root's affair: by the formula that holds below
 * it, or by sequential halving (gumbel.h).
 *
 * Where transpositions are on, positions at the start of a trick that have the same dominoes left
 * in every hand, the same leader and the same points are one node of a world (or of the true deal),
 * with the evaluation of the order of play that came first. A node may then have several parents.
 *
 * Twin: tests/support/slow_tree.py, compared node by node, bit for bit. */
#ifndef ZF_TREE_H
#define ZF_TREE_H

#include <stddef.h>

#include "observe.h"
#include "options.h"
#include "solve.h"
#include "state.h"
#include "worlds.h"

#define ZF_MAX_EDGES ZF_HAND_SIZE
#define ZF_MIN_NODES 8
#define ZF_MAX_NODES 65000 /* children are 16-bit node indices, 0 = none, and above are endings */
#define ZF_MAX_VISITS 65535
#define ZF_MAX_WORLDS 65535

/* What stands in an edge that leads to an ending, plus the outcome (-1, 0, +1) for team 0. */
#define ZF_FINISHED 0xFFFBu /* the game is over */
#define ZF_SOLVED 0xFFFEu   /* valued exactly */
#define ZF_FIRST_ENDING (ZF_FINISHED - 1u)
_Static_assert(ZF_MAX_NODES < ZF_FIRST_ENDING, "no node may look like an ending");

/* A float is enough for a total: it adds at most 2^16 values between -1 and 1. Outcomes add
 * exactly; a sum with values of the network is rounded by at most 2^-9 each time, so the error of a
 * mean is below 2^-9 (and far below: the bound is that of sums near 2^16). */
typedef struct {
    float total; /* sum of simulation values for the side to play at the node */
    float prior;
    uint16_t visits;
    uint16_t child; /* node or ending behind this edge; 0 = not known yet, or kept by the worlds */
} zf_edge;
_Static_assert(sizeof(zf_edge) == 12, "64 bytes a node");

typedef struct {
    uint32_t first_edge : 28;
    uint32_t n_edges : 4;
    float total; /* sum of values seen here, the network's own first, for the side to play */
} zf_node;
_Static_assert(sizeof(zf_node) == 8, "64 bytes a node");

/* A tree owns 8 bytes a node, 9/2 edges of 12 bytes a node and, even alone in its forest, 2 bytes a
 * node of scratch: 64 bytes in all. Nodes have 4.3 edges in the mean at the first play and fewer
 * later, so only trees of unusually wide positions are full before they have max_nodes. */
ZF_INLINE uint32_t zf_edge_capacity(uint32_t max_nodes) { return max_nodes * 9 / 2; }

/* One layout that a root is searched on. */
typedef struct {
    uint32_t hands[4];            /* as they stand at the root */
    uint16_t child[ZF_MAX_EDGES]; /* behind the root's edges in this world, as in zf_edge */
} zf_world;
_Static_assert(sizeof(zf_world) == 32, "32 bytes a world");

typedef struct {
    uint64_t simulations; /* descents, each backed up once */
    uint64_t evaluations; /* leaves handed out, roots included */
    uint64_t cache_hits;  /* leaves, roots included, whose evaluation was remembered */
    uint64_t transposed;  /* edges that were led to a node they share */
    uint64_t terminals;   /* simulations that ended the game */
    uint64_t solved;      /* simulations that ended in an exactly valued position */
    uint64_t solver_calls; /* positions given to the solver */
    uint64_t reused;      /* root visits inherited from the tree of the play before */
    uint64_t full;        /* searches cut short because the tree was full */
    uint64_t stopped;     /* searches cut short because nothing could change their choice */
    uint64_t searches;    /* decisions searched */
    uint64_t fast;        /* of those, with fast_simulations and no policy target */
    uint64_t games;       /* games finished */
    uint64_t plays;       /* dominoes played, forced ones included */
} zf_counts;

/* What a gumbel root remembers of the start of its search, by edge (gumbel.h). */
typedef struct {
    double lead[ZF_MAX_EDGES];
    uint16_t inherited[ZF_MAX_EDGES]; /* visits that an edge had before */
    uint32_t n_inherited;             /* and the root */
} zf_gumbel_root;

/* The way of the last descent, from the root to the leaf or ending. */
typedef struct {
    uint16_t node[ZF_N_PLIES];
    uint8_t edge[ZF_N_PLIES], team[ZF_N_PLIES];
    uint8_t depth;
} zf_path;

/* The leaf that waits for its evaluation, and how it was reached; ordered so that nothing is
 * padded between. */
typedef struct {
    uint16_t *link; /* where its node's index goes */
    uint64_t key;   /* as in keys */
    zf_path path;
    uint8_t legal, team;
} zf_pending_leaf;

typedef struct {
    zf_state root;
    zf_node *nodes;
    zf_edge *edges;
    uint16_t *scratch; /* max_nodes entries; trees worked on by one thread share it */
    zf_solver *solver; /* shared likewise; needed only where endings are solved */
    zf_world *worlds;  /* zf_worlds_room() entries; NULL = the tree grows on the true deal */
    uint64_t *keys;    /* max_nodes entries: what starts of tricks share, 0 = the node is none */
    uint16_t *table;   /* node by key: open addressing, 0 = empty; both NULL = no transpositions */
    uint32_t table_mask;
    uint32_t n_worlds; /* drawn for this root */
    uint32_t n_nodes, n_edges;
    uint32_t root_visits; /* visits over the root's edges */
    zf_gumbel_root gumbel;
    zf_pending_leaf leaf;
} zf_tree;

typedef enum {
    ZF_LEAF,     /* a leaf was written and waits for its evaluation */
    ZF_COMPLETE, /* the root has its visits */
    ZF_FULL,     /* no room for another node: the search ends with the visits it has */
    ZF_STOPPED,  /* no further visit could make another play the most visited */
} zf_step;

/* Worlds that a tree needs room for: a visit beyond the last simulation would never come. */
ZF_INLINE uint32_t zf_worlds_room(const zf_search *p) {
    return p->n_worlds < p->n_simulations ? p->n_worlds : p->n_simulations;
}

/* Start a tree at a decision position. */
void zf_tree_reset(zf_tree *t, const zf_state *root);

/* Simulate until a leaf needs the network or the search is over. Endings are valued and backed up
 * on the way. The worlds, where they are sampled, must be drawn before the first simulation. */
zf_step zf_tree_descend(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts);

/* Give the waiting leaf its evaluation (seven priors by slot, value for the seat to play): make
 * its node, back the value up. The first evaluation makes the root and is no simulation. */
void zf_tree_expand(zf_tree *t, const float eval[8], zf_counts *counts);

/* Move the root along its edge-th play and any forced plays behind it, keeping the subtree; on
 * sampled worlds nothing is kept, because the next seat knows other things. The new root is a
 * decision or the end of the game. Returns the visits kept. */
uint32_t zf_tree_advance(zf_tree *t, uint32_t edge);

/* Make the expanded root ready to be searched (root.c): Dirichlet noise into its priors, or the
 * gumbel root's noise, and the worlds it is searched on.
 *
 * Noise comes from (seed, NOISE or GUMBEL, game, ply), worlds from (seed, stream, game): all of
 * them in random order when there are no more than room, else that many independently, world i from
 * draw (n_plays << 32) + i. */
void zf_tree_open(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t stream, uint64_t game);

/* Edge to play at the expanded, searched root. Of the puct root by visits and temperature, with one
 * draw of bits; of the gumbel root the best, whatever they are. */
uint32_t zf_tree_choose(const zf_tree *t, const zf_search *p, float temperature, uint64_t bits);

/* The root's policy target, a weight for each edge: visits, or the gumbel root's improved policy. */
void zf_tree_policy(const zf_tree *t, const zf_search *p, uint16_t weights[ZF_MAX_EDGES]);

/* Forced plays from a position on, until a decision or the end. */
ZF_INLINE void zf_play_forced(zf_state *s) {
    for (uint32_t legal = zf_legal(s); legal && (legal & (legal - 1)) == 0; legal = zf_legal(s))
        zf_play(s, (uint32_t)__builtin_ctz(legal));
}

#endif
