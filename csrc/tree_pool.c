#include "tree_pool.h"

#include <stdlib.h>

/* Twice as many places as nodes: half of them stay empty. */
static uint32_t table_size(uint32_t max_nodes) {
    uint32_t size = 2 * ZF_MIN_NODES;
    while (size < 2 * max_nodes) size *= 2;
    return size;
}

static void share_out(zf_tree_pool *m, const zf_search *p) {
    for (size_t i = 0; i < m->n_trees; i++) {
        zf_tree *t = &m->trees[i];
        t->nodes = m->nodes + i * p->max_nodes;
        t->edges = m->edges + i * zf_edge_capacity(p->max_nodes);
        t->scratch = m->scratch;
        t->solver = m->solver;
        if (m->worlds) t->worlds = m->worlds + i * zf_worlds_room(p);
        if (!m->table) continue;
        t->keys = m->keys + i * p->max_nodes;
        t->table = m->table + i * m->table_size;
        t->table_mask = m->table_size - 1;
    }
}

bool zf_tree_pool_alloc(zf_tree_pool *m, const zf_search *p, size_t n_trees, bool sampled) {
    *m = (zf_tree_pool){.n_trees = n_trees, .table_size = table_size(p->max_nodes)};
    m->trees = calloc(n_trees, sizeof *m->trees);
    m->nodes = calloc(n_trees * p->max_nodes, sizeof *m->nodes);
    m->edges = calloc(n_trees * zf_edge_capacity(p->max_nodes), sizeof *m->edges);
    m->scratch = calloc(p->max_nodes, sizeof *m->scratch);
    if (sampled) m->worlds = calloc(n_trees * zf_worlds_room(p), sizeof *m->worlds);
    if (p->transpositions) {
        m->keys = calloc(n_trees * p->max_nodes, sizeof *m->keys);
        m->table = calloc(n_trees * m->table_size, sizeof *m->table);
    }
    if (p->exact_tricks) m->solver = zf_solver_new(ZF_DEFAULT_TABLE_BITS);
    bool got = m->trees && m->nodes && m->edges && m->scratch && (m->worlds || !sampled) &&
               ((m->keys && m->table) || !p->transpositions) && (m->solver || !p->exact_tricks);
    if (got) share_out(m, p);
    return got;
}

void zf_tree_pool_free(zf_tree_pool *m) {
    free(m->trees);
    free(m->nodes);
    free(m->edges);
    free(m->scratch);
    free(m->worlds);
    free(m->keys);
    free(m->table);
    if (m->solver) zf_solver_free(m->solver);
    *m = (zf_tree_pool){0};
}

size_t zf_tree_pool_bytes(const zf_tree_pool *m, const zf_search *p) {
    size_t each = sizeof *m->trees + p->max_nodes * sizeof *m->nodes +
                  zf_edge_capacity(p->max_nodes) * sizeof *m->edges;
    if (m->worlds) each += zf_worlds_room(p) * sizeof *m->worlds;
    if (m->table) each += p->max_nodes * sizeof *m->keys + m->table_size * sizeof *m->table;
    return m->n_trees * each + p->max_nodes * sizeof *m->scratch +
           (m->solver ? zf_solver_bytes(m->solver) : 0);
}
