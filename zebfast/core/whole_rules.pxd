# The rules of whole games: csrc/auction.h and csrc/whole_game.h.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

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
        uint8_t nello_forced, sevens_forced, forced_sweep

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
    bint zf_whole_sweep_open(const zf_whole_game *g, const zf_rule_set *r)
    void zf_whole_end_hand(zf_whole_game *g, const zf_rule_set *r)
    uint32_t zf_whole_random_choice(const zf_whole_game *g, const zf_rule_set *r, uint64_t seed,
                                    uint64_t game)
    void zf_whole_random_games(zf_whole_game *out, const zf_rule_set *r, size_t n, uint64_t seed,
                               uint64_t first_game)


cdef rules_of(object rule_set, zf_rule_set *r)
cdef list calls_of(uint32_t legal, const zf_rule_set *r, uint32_t standing)
cdef str where_of(const zf_whole_game *g)
cdef wrong_phase_error(const zf_whole_game *g, uint8_t wanted, str where)
cdef call_error(const zf_whole_game *g, const zf_rule_set *r, rule_set, call, str where)
cdef declaration_error(const zf_whole_game *g, const zf_rule_set *r, decl, str where)
cdef play_error(const zf_whole_game *g, const zf_rule_set *r, domino, str where)
cdef no_straight_hand(const zf_whole_game *g, str where)
