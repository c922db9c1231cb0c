# Players that others have written: csrc/policy.h.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_state


cdef extern from "policy.h" nogil:
    enum:
        ZF_POLICY_ABI

    ctypedef struct zf_view:
        int32_t phase

    ctypedef int32_t (*zf_policy)(const zf_view *view, int64_t random) noexcept nogil

    ctypedef struct zf_policy_run:
        int64_t calls, at, answer

    ctypedef struct zf_policy_player:
        zf_policy answer
        bint replaces
        int64_t replaced

    ctypedef struct zf_policy_asking:
        const uint8_t *bids
        const uint64_t *games
        uint64_t seed, stream

    int32_t zf_policy_random(const zf_view *view, int64_t random)
    void zf_view_of(zf_view *view, const zf_state *s, uint32_t bid)
    bint zf_policy_plays(zf_policy_player *player, const zf_state *s, const int64_t *rows, size_t n,
                         const zf_policy_asking *asking, uint8_t *dominoes, zf_policy_run *run)
    bint zf_policy_games(zf_policy_player *players, zf_state *s, size_t n,
                         const uint8_t *first_team, const zf_policy_asking *asking,
                         zf_policy_run *run)
    void zf_policy_answers(zf_policy policy, const zf_view *views, const int64_t *randoms, size_t n,
                           int32_t *answers, zf_policy_run *run)


cdef class PolicyRun:
    cdef zf_policy_run run


cdef class PolicyFunction:
    cdef zf_policy_player player
    cdef object function
