# Packed observations and examples: csrc/observe.h and csrc/records.h.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from zebfast.core.engine cimport zf_state


cdef extern from "records.h" nogil:
    ctypedef struct zf_obs:
        uint32_t hand
        uint8_t legal
    ctypedef struct zf_game:
        uint8_t plays[28]
    ctypedef struct zf_example:
        float value


cdef extern from "observe.h" nogil:
    void zf_observe(zf_obs *o, const zf_state *s)
    void zf_observe_rows(zf_obs *out, const zf_state *s, const int64_t *rows, size_t n)
    void zf_uniform_evaluate(float *out, const zf_obs *obs, size_t n)

    ctypedef enum zf_game_fault:
        ZF_GAME_OK
        ZF_GAME_BAD_DEAL
        ZF_GAME_BAD_PLAY
        ZF_GAME_BAD_POLICY
        ZF_GAME_BAD_CONTRACT

    zf_game_fault zf_game_start(zf_state *s, const zf_game *game)
    zf_game_fault zf_game_examples(zf_example *out, const zf_game *game, int *ply)
