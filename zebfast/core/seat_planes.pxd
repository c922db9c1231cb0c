# What one seat knows, in fixed places: csrc/seat_planes.h.
from libc.stdint cimport uint8_t, uint32_t

from zebfast.core.engine cimport zf_state
from zebfast.core.whole_rules cimport zf_rule_set, zf_whole_game


cdef extern from "seat_planes.h" nogil:
    enum:
        ZF_P_HELD
        ZF_P_DEALT
        ZF_P_PLAYED
        ZF_P_TABLE
        ZF_P_WHEN
        ZF_P_DECL
        ZF_P_LEADER
        ZF_P_TO_ACT
        ZF_P_TRICK
        ZF_P_POINTS
        ZF_P_HAND_SIZE
        ZF_P_PHASE
        ZF_P_CALLS
        ZF_P_BIDDER
        ZF_P_SHAKER
        ZF_P_STAKE
        ZF_P_MARKS
        ZF_P_WHOLE_SIZE
        ZF_A_CALL
        ZF_A_DECL
        ZF_A_SIZE

    void zf_hand_planes(uint8_t *out, const zf_state *s, uint32_t seat)
    void zf_whole_planes(uint8_t *out, const zf_whole_game *g, uint32_t seat)
    void zf_hand_mask(uint8_t *out, const zf_state *s)
    void zf_whole_mask(uint8_t *out, const zf_whole_game *g, const zf_rule_set *r)
