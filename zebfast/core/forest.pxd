# Search trees: csrc/tree.h.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_state
from zebfast.core.observe cimport zf_obs
from zebfast.core.options cimport zf_search


cdef extern from "tree.h" nogil:
    enum: ZF_MIN_NODES
    enum: ZF_MAX_NODES
    enum: ZF_MAX_VISITS
    enum: ZF_MAX_WORLDS
    enum: ZF_FIRST_ENDING

    ctypedef struct zf_edge:
        float total
        float prior
        uint16_t visits
        uint16_t child

    ctypedef struct zf_node:
        uint32_t first_edge
        uint32_t n_edges
        float total

    ctypedef struct zf_world:
        uint32_t hands[4]
        uint16_t child[7]

    ctypedef struct zf_counts:
        uint64_t simulations
        uint64_t evaluations
        uint64_t cache_hits
        uint64_t transposed
        uint64_t terminals
        uint64_t solved
        uint64_t solver_calls
        uint64_t reused
        uint64_t full
        uint64_t stopped
        uint64_t searches
        uint64_t fast
        uint64_t games
        uint64_t plays

    ctypedef struct zf_tree:
        zf_state root
        zf_node *nodes
        zf_edge *edges
        zf_world *worlds
        uint32_t n_worlds
        uint32_t n_nodes
        uint32_t n_edges
        uint32_t root_visits

    ctypedef enum zf_step:
        ZF_LEAF
        ZF_COMPLETE
        ZF_FULL
        ZF_STOPPED

    void zf_tree_reset(zf_tree *t, const zf_state *root)
    zf_step zf_tree_descend(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts)
    void zf_tree_expand(zf_tree *t, const float *eval, zf_counts *counts)
    uint32_t zf_tree_advance(zf_tree *t, uint32_t edge)
    void zf_tree_open(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t stream, uint64_t game)
    uint32_t zf_tree_choose(const zf_tree *t, const zf_search *p, float temperature, uint64_t bits)
    void zf_tree_policy(const zf_tree *t, const zf_search *p, uint16_t *weights)


cdef extern from "clock.h" nogil:
    double zf_now()


cdef extern from "tree_pool.h" nogil:
    ctypedef struct zf_tree_pool:
        zf_tree *trees

    bint zf_tree_pool_alloc(zf_tree_pool *m, const zf_search *p, size_t n_trees, bint sampled)
    void zf_tree_pool_free(zf_tree_pool *m)


cdef class Forest:
    cdef zf_search search
    cdef zf_counts totals
    cdef Py_ssize_t size, n_waiting
    cdef zf_tree_pool pool
    cdef zf_tree *trees
    cdef uint32_t *waiting
    cdef uint64_t[::1] numbers
    cdef uint64_t seed, stream
    cdef Py_ssize_t _select(self, zf_obs *leaves) noexcept nogil
    cdef bint _update(self, const float *evals) noexcept nogil
    cdef void _open(self, Py_ssize_t tree) noexcept nogil
    cdef list _slots(self, Py_ssize_t tree)
