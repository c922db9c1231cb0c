# Games that a teacher labels: csrc/teaching.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from zebfast.core.observe cimport zf_obs
from zebfast.core.selfplay cimport RunningGames, zf_sequence


cdef extern from "teaching.h" nogil:
    ctypedef enum zf_teacher:
        ZF_TEACHER_EXACT
        ZF_TEACHER_ROLLOUT

    ctypedef struct zf_teaching_config:
        uint64_t seed
        uint64_t first_game
        uint64_t stride
        uint32_t n_games
        uint32_t n_worlds
        zf_teacher teacher
        float label_share
        float temperature
        float explore
        uint32_t exact_tricks

    ctypedef struct zf_teaching_counts:
        uint64_t games
        uint64_t plays
        uint64_t labels
        uint64_t rollouts
        uint64_t evaluations
        uint64_t solver_calls

    ctypedef struct zf_teaching:
        pass

    zf_teaching *zf_teaching_new(const zf_teaching_config *config)
    void zf_teaching_free(zf_teaching *t)
    size_t zf_teaching_room(const zf_teaching_config *config)
    zf_sequence *zf_teaching_sequence(zf_teaching *t)
    size_t zf_teaching_select(zf_teaching *t, zf_obs *obs)
    int64_t zf_teaching_update(zf_teaching *t, const float *evals)
    void zf_teaching_forget(zf_teaching *t)
    void zf_teaching_counts_of(const zf_teaching *t, zf_teaching_counts *out)
    size_t zf_teaching_bytes(const zf_teaching *t)


cdef class TaughtGames(RunningGames):
    cdef zf_teaching *games
