# Search trees: csrc/tree.h.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_state
from zebfast.core.observe cimport zf_obs
from zebfast.core.solve cimport zf_solver


cdef extern from "solve.h" nogil:
    enum: ZF_DEFAULT_TABLE_BITS


cdef extern from "tree.h" nogil:
    enum: ZF_MIN_NODES
    enum: ZF_MAX_NODES
    enum: ZF_MAX_VISITS
    enum: ZF_MAX_WORLDS
    enum: ZF_N_TRICKS
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

    ctypedef struct zf_search:
        float c_puct
        uint32_t n_simulations
        uint32_t max_nodes
        uint32_t n_worlds
        uint32_t exact_tricks
        float temperature
        float noise_alpha
        float noise_fraction

    ctypedef struct zf_counts:
        uint64_t simulations
        uint64_t evaluations
        uint64_t terminals
        uint64_t solved
        uint64_t reused
        uint64_t full
        uint64_t searches
        uint64_t games
        uint64_t plays

    ctypedef struct zf_tree:
        zf_state root
        zf_node *nodes
        zf_edge *edges
        uint16_t *scratch
        zf_solver *solver
        zf_world *worlds
        uint32_t n_worlds
        uint32_t n_nodes
        uint32_t n_edges
        uint32_t root_visits
        uint8_t pending

    ctypedef enum zf_step:
        ZF_LEAF
        ZF_COMPLETE
        ZF_FULL

    uint32_t zf_edge_capacity(uint32_t max_nodes)
    uint32_t zf_worlds_room(const zf_search *p)
    void zf_tree_reset(zf_tree *t, const zf_state *root)
    zf_step zf_tree_descend(zf_tree *t, const zf_search *p, zf_obs *leaf, zf_counts *counts)
    void zf_tree_expand(zf_tree *t, const float *eval, zf_counts *counts)
    uint32_t zf_tree_advance(zf_tree *t, uint32_t edge)
    void zf_tree_add_noise(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t game)
    void zf_tree_draw_worlds(zf_tree *t, const zf_search *p, uint64_t seed, uint64_t stream,
                             uint64_t game)
    uint32_t zf_tree_choose(const zf_tree *t, float temperature, uint64_t bits)


cdef zf_search search_struct(object options) except *


cdef class Forest:
    cdef zf_search search
    cdef zf_counts totals
    cdef Py_ssize_t size, n_waiting
    cdef zf_tree *trees
    cdef zf_node *nodes
    cdef zf_edge *edges
    cdef uint16_t *scratch
    cdef uint32_t *waiting
    cdef zf_world *worlds
    cdef zf_solver *solver
    cdef uint64_t[::1] numbers
    cdef uint64_t seed, stream
    cdef _allocate(self, bint sampled)
