# Nello and sevens with open hands: csrc/house_solve.h.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from zebfast.core.whole_rules cimport zf_whole_game


cdef extern from "house_solve.h" nogil:
    ctypedef struct zf_house_hand:
        uint8_t decl, bidder, n_plays
        uint8_t plays[28]
        uint8_t to_play

    uint64_t zf_house_made(const zf_house_hand *h, const uint32_t (*hands)[4], size_t n,
                           uint32_t *made)
    uint64_t zf_house_tally(const zf_house_hand *h, uint32_t own, uint64_t key, uint64_t first,
                            size_t n, uint32_t *made)


cdef void _seen(zf_house_hand *h, const zf_whole_game *g) noexcept nogil


cdef class SeatHand:
    cdef zf_house_hand hand
    cdef object _decl
    cdef list _plays
    cdef int _leader
