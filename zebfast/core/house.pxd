# Nello and sevens with open hands: csrc/house_solve.h.
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "house_solve.h" nogil:
    ctypedef struct zf_house_hand:
        uint8_t decl, bidder, n_plays
        uint8_t plays[28]
        uint8_t to_play

    uint64_t zf_house_made(const zf_house_hand *h, const uint32_t (*hands)[4], size_t n,
                           uint32_t *made)


cdef class SeatHand:
    cdef zf_house_hand hand
    cdef object _decl
    cdef list _plays
    cdef int _leader
