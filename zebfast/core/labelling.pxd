# Games that a teacher labels: csrc/labelling.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from zebfast.core.observe cimport zf_obs
from zebfast.core.options cimport zf_label_options
from zebfast.core.selfplay cimport RunningGames, zf_game_queue


cdef extern from "labelling.h" nogil:
    ctypedef struct zf_labelling_config:
        uint64_t seed
        uint64_t first_game
        uint64_t stride
        uint32_t n_games
        zf_label_options labels

    ctypedef struct zf_labelling_counts:
        uint64_t games
        uint64_t plays
        uint64_t labels
        uint64_t rollouts
        uint64_t evaluations
        uint64_t solver_calls

    ctypedef struct zf_labelling:
        pass

    zf_labelling *zf_labelling_new(const zf_labelling_config *config)
    void zf_labelling_free(zf_labelling *t)
    size_t zf_labelling_room(const zf_labelling_config *config)
    zf_game_queue *zf_labelling_queue(zf_labelling *t)
    size_t zf_labelling_select(zf_labelling *t, zf_obs *obs)
    int64_t zf_labelling_update(zf_labelling *t, const float *evals)
    void zf_labelling_clear_cache(zf_labelling *t)
    void zf_labelling_counts_of(const zf_labelling *t, zf_labelling_counts *out)
    size_t zf_labelling_bytes(const zf_labelling *t)


cdef class LabelledGames(RunningGames):
    cdef zf_labelling *games
