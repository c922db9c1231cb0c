# Games of self-play, a tree each: csrc/selfplay.h.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from zebfast.core.forest cimport zf_counts, zf_search
from zebfast.core.observe cimport zf_game, zf_obs


cdef extern from "selfplay.h" nogil:
    ctypedef enum zf_worlds:
        ZF_WORLDS_TRUE
        ZF_WORLDS_SAMPLED

    ctypedef struct zf_selfplay_config:
        zf_search search
        uint64_t seed
        uint64_t first_game
        uint64_t stride
        uint32_t n_trees
        zf_worlds worlds
        size_t cache_bytes

    ctypedef struct zf_selfplay:
        pass

    zf_selfplay *zf_selfplay_new(const zf_selfplay_config *config)
    void zf_selfplay_free(zf_selfplay *f)
    void zf_selfplay_limit(zf_selfplay *f, uint64_t limit, zf_game *records, uint8_t *done,
                           uint64_t capacity)
    size_t zf_selfplay_select(zf_selfplay *f, zf_obs *leaves)
    int64_t zf_selfplay_update(zf_selfplay *f, const float *evals)
    void zf_selfplay_forget(zf_selfplay *f)
    void zf_selfplay_counts(const zf_selfplay *f, zf_counts *out)
    size_t zf_selfplay_bytes(const zf_selfplay *f)


cdef class FinishedGames:
    cdef object records, done
    cdef object capacity, limit, taken
    cdef _set_limit(self, uint64_t limit, zf_game *records, uint8_t *done, uint64_t capacity)


cdef class SelfPlayForest(FinishedGames):
    cdef zf_selfplay *games
    cdef readonly Py_ssize_t n_trees
    cdef Py_ssize_t n_waiting
