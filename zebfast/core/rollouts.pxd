# Games that go on side by side: csrc/rollouts.h.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from zebfast.core.engine cimport GameBatch, zf_state
from zebfast.core.network cimport zf_net
from zebfast.core.observe cimport zf_obs
from zebfast.core.policy cimport zf_policy_player, zf_policy_run


cdef extern from "rollouts.h" nogil:
    size_t zf_rollouts_advance(zf_state *s, const uint8_t *until, int64_t *live, size_t n,
                               zf_obs *obs)
    void zf_rollouts_greedy(zf_state *s, const int64_t *live, size_t n, const float *evals)

    ctypedef struct zf_rollout_values:
        const uint8_t *player
        const uint8_t *since
        float *value

    ctypedef struct zf_rollout_model:
        zf_policy_player player
        const uint8_t *players
        uint8_t bid
        zf_policy_run *run

    ctypedef enum zf_rollouts_end:
        ZF_ROLLOUTS_DONE
        ZF_ROLLOUTS_OPEN
        ZF_ROLLOUTS_REFUSED
        ZF_ROLLOUTS_UNUSABLE

    zf_rollouts_end zf_rollouts_run(zf_net *net, zf_state *s, const uint8_t *until,
                                    const zf_rollout_values *values, zf_rollout_model *model,
                                    int64_t *live, size_t *n, double seconds)


cdef extern from "past.h" nogil:
    size_t zf_past_choices(const zf_state *s, size_t n, zf_obs *obs, int32_t (*asked)[28],
                           uint32_t *table, size_t n_places)


cdef class RolloutGames:
    cdef readonly GameBatch games
    cdef uint8_t[::1] until
    cdef int64_t[::1] live
    cdef Py_ssize_t n_live
    cdef bint waiting_now
    cdef _answered(self, Py_ssize_t n)
