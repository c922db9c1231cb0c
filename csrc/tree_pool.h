/* What the trees of one forest live in: one allocation each, shared out by index. */
#ifndef ZF_TREE_POOL_H
#define ZF_TREE_POOL_H

#include "tree.h"

typedef struct {
    size_t n_trees;
    zf_tree *trees;
    zf_node *nodes;
    zf_edge *edges;
    uint16_t *scratch; /* one for all: trees of a forest are worked on by one thread at a time */
    zf_world *worlds;  /* NULL: trees grow on the true deal */
    uint64_t *keys;    /* NULL, as the table: no transpositions */
    uint16_t *table;
    zf_solver *solver; /* NULL: no endings are solved; one for all */
    uint32_t table_size;
} zf_tree_pool;

/* False when memory is short; zf_tree_pool_free is due either way. Trees still want a reset. */
bool zf_tree_pool_alloc(zf_tree_pool *m, const zf_search *p, size_t n_trees, bool sampled);
void zf_tree_pool_free(zf_tree_pool *m);
size_t zf_tree_pool_bytes(const zf_tree_pool *m, const zf_search *p);

#endif
