# The rules engine: csrc/state.h, csrc/engine.h, and the positions of csrc/solve.h.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "tables.h" nogil:
    enum:
        ZF_N_DOMINOES
        ZF_ALL_DOMINOES
        ZF_N_DECLARATIONS
        ZF_N_SEATS
        ZF_HAND_SIZE
        ZF_N_PLIES
        ZF_TOTAL_POINTS


cdef extern from "records.h" nogil:
    ctypedef struct zf_contract:
        uint8_t bid, bidder, shaker, marks
        uint8_t calls[4]


cdef extern from "contract.h" nogil:
    ctypedef struct zf_aim:
        uint8_t won, lost

    zf_aim zf_aim_of(const zf_contract *c, uint32_t side)
    bint zf_contract_possible(const zf_contract *c, uint32_t leader)


cdef extern from "state.h" nogil:
    ctypedef struct zf_state:
        uint32_t hand[4]
        uint32_t dealt[4]
        uint8_t plays[28]
        uint8_t decl
        uint8_t first_leader
        uint8_t n_plays
        uint8_t to_play
        uint8_t best
        uint8_t points[2]
        zf_contract contract

    void zf_init(zf_state *s, const uint32_t *hands, uint8_t decl, uint8_t leader)
    bint zf_over(const zf_state *s)
    uint32_t zf_legal(const zf_state *s)
    void zf_play(zf_state *s, uint32_t domino)
    void zf_rewind(zf_state *s, int n)
    uint32_t zf_select(uint32_t mask, uint32_t r, uint32_t most)


cdef extern from "solve.h" nogil:
    ctypedef struct zf_position:
        uint32_t hand[4]
        uint8_t decl
        uint8_t leader
        uint8_t n_table
        uint8_t table[3]

    void zf_position_of(zf_position *p, const zf_state *s)


cdef extern from "engine.h" nogil:
    void zf_deal(zf_state *s, uint64_t seed, uint64_t stream, uint64_t game)
    void zf_deal_many(zf_state *s, size_t n, uint64_t seed, uint64_t stream, uint64_t first_game)
    void zf_random_games(uint8_t *points_team0, size_t n, uint64_t seed, uint64_t first_game)
    void zf_random_plays(zf_state *s, const int64_t *rows, const uint64_t *games, size_t n,
                         uint64_t seed, uint64_t stream)
    void zf_random_until(zf_state *s, const int64_t *rows, const uint64_t *games, size_t n,
                         uint64_t seed, uint64_t stream, uint32_t seat)
    uint64_t zf_perft(const zf_state *s, int depth)
    const char *zf_engine_isa()


cpdef list dominoes_of(uint32_t mask)
cpdef uint32_t mask_of(object dominoes) except? 0


cdef class Game:
    cdef zf_state state
    cdef _start(self, hands, decl, leader, contract)
    cdef _play(self, domino, str where)


cdef class GameBatch:
    cdef zf_state *states
    cdef Py_ssize_t size
    cdef _start(self, object hands, object decl, object leader)
    cdef _play_for(self, object contracts)
    cdef _allocate(self, Py_ssize_t n)
    cdef _column(self, const void *first, object dtype=*, tuple shape=*)
    cdef _plays(self, int shift, int mask)
    cdef const int64_t[::1] _rows(self, object rows)
    cdef _expect_different(self, const int64_t[::1] r, str when)
