# Games that go on side by side: csrc/rollouts.h.
from libc.stdint cimport int64_t, uint8_t

from zebfast.core.engine cimport GameBatch, zf_state
from zebfast.core.observe cimport zf_obs


cdef extern from "rollouts.h" nogil:
    size_t zf_rollouts_advance(zf_state *s, const uint8_t *until, int64_t *live, size_t n,
                               zf_obs *obs)
    void zf_rollouts_greedy(zf_state *s, const int64_t *live, size_t n, const float *evals)


cdef class RolloutGames:
    cdef readonly GameBatch games
    cdef uint8_t[::1] until
    cdef int64_t[::1] live
    cdef Py_ssize_t n_live
    cdef bint waiting_now
    cdef _answered(self, Py_ssize_t n)
