# Exact worlds: csrc/worlds.h.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_state


cdef extern from "rng.h" nogil:
    uint64_t zf_stream_key(uint64_t seed, uint64_t stream, uint64_t game)


cdef extern from "worlds.h" nogil:
    const uint64_t ZF_NO_RANK

    ctypedef struct zf_knowledge:
        uint32_t own
        uint32_t hidden
        uint32_t barred[4]
        uint8_t size[4]
        uint8_t viewer

    ctypedef struct zf_world_set:
        uint32_t count

    ctypedef struct zf_weighted_set:
        pass

    ctypedef enum zf_weights_fault:
        ZF_WEIGHTS_OK
        ZF_WEIGHTS_BAD
        ZF_WEIGHTS_NONE
        ZF_WEIGHTS_TOO_FAR

    void zf_knowledge_of(zf_knowledge *k, const zf_state *s, uint32_t viewer)
    uint64_t zf_worlds_of(zf_world_set *w, const zf_knowledge *k)
    uint64_t zf_worlds_init(zf_world_set *w, const zf_state *s, uint32_t viewer)
    void zf_worlds_unrank_many(const zf_world_set *w, const uint64_t *ranks, size_t n,
                               uint32_t (*hands)[4])
    uint64_t zf_worlds_rank(const zf_world_set *w, const uint32_t *hands)
    void zf_worlds_sample_many(const zf_world_set *w, uint64_t key, uint64_t index, size_t n,
                               uint32_t (*hands)[4])
    void zf_worlds_apply(zf_state *s, const uint32_t *hands)
    bint zf_worlds_fit(const zf_state *s, const uint32_t *hands)

    zf_weights_fault zf_weighted_of(zf_weighted_set *w, const zf_knowledge *k,
                                    const double (*weights)[4])
    void zf_weighted_sample_many(const zf_weighted_set *w, uint64_t key, uint64_t index, size_t n,
                                 uint32_t (*hands)[4])
    double zf_weighted_probability(const zf_weighted_set *w, const uint32_t *hands)


cdef const uint32_t[:, :, ::1] layouts_of(object hands, Py_ssize_t k)
cdef refuse_misfit(Py_ssize_t row, Py_ssize_t layout)


cdef class WorldSet:
    cdef zf_knowledge known
    cdef zf_world_set worlds
    cdef zf_weighted_set *weighted  # NULL: all worlds are equally likely
    cdef uint64_t ply
    cdef bint made  # once: others may be at work on it
    cdef _weigh(self, object weights)
