# Whole games: csrc/auction.h and csrc/whole_game.h.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from zebfast.core.engine cimport zf_state


cdef extern from "auction.h" nogil:
    enum:
        ZF_FIRST_MARK_BIT
        ZF_PLUNGE_BIT
        ZF_SPLASH_BIT

    ctypedef struct zf_rule_set:
        uint16_t target
        uint8_t for_points, drop30, force, most_reshakes, forced_bid, opening_marks, most_marks
        uint8_t straight, nello, nello_marks, plunge, splash, sevens, partner_leads, early_end

    uint32_t zf_call_of_bit(const zf_rule_set *r, uint32_t standing, uint32_t bit)
    uint64_t zf_auction_perft(const zf_rule_set *r)


cdef extern from "whole_game.h" nogil:
    enum:
        ZF_NELLO
        ZF_PHASE_DEAL
        ZF_PHASE_CALL
        ZF_PHASE_DECLARE
        ZF_PHASE_PLAY
        ZF_PHASE_OVER
        ZF_NOBODY
        ZF_NO_TEAM
        ZF_SET
        ZF_MADE
        ZF_THROWN_IN
        ZF_UNDECIDED

    ctypedef struct zf_hand_result:
        uint16_t award[2]
        uint16_t bid
        uint8_t bidder, decl, made
        uint8_t points[2]

    ctypedef struct zf_whole_game:
        zf_state hand
        zf_hand_result last
        uint16_t calls[4]
        uint16_t marks[2]
        uint16_t bid, n_hands
        uint32_t n_actions
        uint8_t phase, shaker, n_calls, bidder, thrown_in, winner

    void zf_whole_init(zf_whole_game *g, uint8_t shaker)
    void zf_whole_deal(zf_whole_game *g, const zf_rule_set *r, const uint32_t *hands)
    void zf_whole_deal_seeded(zf_whole_game *g, const zf_rule_set *r, uint64_t seed, uint64_t game)
    uint8_t zf_whole_first_shaker(uint64_t seed, uint64_t game)
    uint32_t zf_whole_seat(const zf_whole_game *g)
    bint zf_whole_must_bid(const zf_whole_game *g, const zf_rule_set *r)
    uint32_t zf_whole_legal(const zf_whole_game *g, const zf_rule_set *r)
    void zf_whole_act(zf_whole_game *g, const zf_rule_set *r, uint32_t action)
    uint32_t zf_whole_decided(const zf_whole_game *g)
    void zf_whole_end_hand(zf_whole_game *g, const zf_rule_set *r)
    void zf_whole_random_actions(zf_whole_game *g, const zf_rule_set *r, const int64_t *rows,
                                 const uint64_t *games, size_t n, uint64_t seed)
    void zf_whole_random_games(zf_whole_game *out, const zf_rule_set *r, size_t n, uint64_t seed,
                               uint64_t first_game)


cdef class WholeGame:
    cdef zf_whole_game state
    cdef zf_rule_set rules
    cdef object _rule_set
    cdef object _seed
    cdef object _game
    cdef list _hands
    cdef list _results
    cdef _start(self, rule_set, shaker, seed, game)
    cdef _deal(self, tuple masks)
    cdef _expect(self, uint8_t phase)
    cdef _act(self, uint32_t action)
    cdef _after(self)


cdef class WholeGameBatch:
    cdef zf_whole_game *states
    cdef Py_ssize_t size
    cdef zf_rule_set rules
    cdef object _rule_set
    cdef object _seed
    cdef object _first_game
    cdef _allocate(self, Py_ssize_t n)
    cdef _column(self, const uint8_t *first)
    cdef _words(self, const uint16_t *first, Py_ssize_t each)
    cdef const int64_t[::1] _rows(self, object rows)
    cdef _refuse(self, Py_ssize_t row, int64_t action)
