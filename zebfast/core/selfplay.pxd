# Games of self-play, a tree each: csrc/selfplay.h.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_state
from zebfast.core.forest cimport zf_counts
from zebfast.core.network cimport zf_net
from zebfast.core.observe cimport zf_game, zf_obs
from zebfast.core.options cimport zf_search
from zebfast.core.policy cimport PolicyFunction, PolicyRun, zf_policy_player, zf_policy_run


cdef extern from "clock.h" nogil:
    double zf_now()
    double zf_on_core()


cdef extern from "game_queue.h" nogil:
    ctypedef struct zf_game_queue:
        bint given
        uint64_t next

    void zf_game_queue_limit(zf_game_queue *q, uint64_t limit, zf_game *records, uint8_t *done,
                           uint64_t capacity)


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
        zf_policy_player opponent
        float opponent_share
        zf_policy_run *asking

    ctypedef struct zf_selfplay:
        pass

    zf_selfplay *zf_selfplay_new(const zf_selfplay_config *config)
    void zf_selfplay_free(zf_selfplay *f)
    zf_game_queue *zf_selfplay_queue(zf_selfplay *f)
    size_t zf_selfplay_select(zf_selfplay *f, zf_obs *leaves)
    int64_t zf_selfplay_update(zf_selfplay *f, const float *evals)
    void zf_selfplay_clear_cache(zf_selfplay *f)
    bint zf_selfplay_refused(const zf_selfplay *f)
    int64_t zf_selfplay_replaced(const zf_selfplay *f)
    const zf_state *zf_selfplay_asked(const zf_selfplay *f)
    void zf_selfplay_counts(const zf_selfplay *f, zf_counts *out)
    size_t zf_selfplay_bytes(const zf_selfplay *f)


# What a run of games did: batches asked, and seconds of trees and evaluator; and its last look at
# the clocks.
cdef struct Spent:
    bint finished
    int64_t batches
    double trees
    double evaluator
    double trees_on_core
    double evaluator_on_core
    double wall
    double core


cdef class RunningGames:
    cdef zf_game_queue *queue
    cdef readonly Py_ssize_t room
    cdef Py_ssize_t n_waiting
    cdef object records
    cdef uint8_t[::1] done
    cdef int64_t capacity, limit, taken
    cdef _allow(self, limit)
    cdef bint _finished(self, int64_t n) noexcept nogil
    cdef Spent _run(self, zf_net *net, zf_obs *obs, float *evals, double seconds,
                    int64_t until) noexcept nogil
    cdef size_t _select(self, zf_obs *obs) noexcept nogil
    cdef int64_t _update(self, const float *evals) noexcept nogil
    cdef bint _refused(self) noexcept nogil
    cdef _expect_legal(self)


cdef class SelfPlayForest(RunningGames):
    cdef zf_selfplay *games
    cdef PolicyFunction opponent
    cdef readonly PolicyRun asking
