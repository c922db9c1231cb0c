"""Nello and sevens with all hands open: after which plays the contract is made."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from operator import index

import numpy as np

from zebfast.core.arrays import integers
from zebfast.rules import (
    N_DOMINOES,
    N_SEATS,
    HouseDeclaration,
    ImpossibleDeal,
    Position,
    Stream,
    WrongPhase,
    check_hands,
    is_nello,
)

from zebfast.core.engine cimport ZF_N_DECLARATIONS, ZF_N_PLIES, dominoes_of, mask_of
from zebfast.core.whole_game_batch cimport WholeGameBatch
from zebfast.core.whole_rules cimport ZF_PHASE_PLAY, zf_whole_game
from zebfast.core.worlds cimport zf_stream_key


def plays_that_make(SeatHand hand not None, layouts):
    """For each layout the legal dominoes after which the bidder makes the contract, masks u4 [n].

    Both sides play their best and see all hands.

    Args:
        hand: what lies open.
        layouts: dominoes that the seats hold, masks integer [n, 4]. Those of the seat to play are
            its own in all of them.

    Raises ImpossibleDeal, naming the first layout that is none: with the plays it must be a deal in
    which they are legal.
    """
    masks = np.ascontiguousarray(layouts, np.uint32)
    if masks.ndim != 2 or masks.shape[1] != N_SEATS:
        raise ImpossibleDeal(f"layouts have shape {list(masks.shape)}, not [n, {N_SEATS}]")
    cdef const uint32_t[:, ::1] h = masks
    out = np.zeros(h.shape[0], np.uint32)
    cdef uint32_t[::1] made = out
    cdef Py_ssize_t i, seat
    for i in range(h.shape[0]):
        hand._check(i, [dominoes_of(h[i, seat]) for seat in range(N_SEATS)])
    if h.shape[0]:
        with nogil:
            zf_house_made(&hand.hand, <const uint32_t (*)[4]>&h[0, 0], h.shape[0], &made[0])
    return out


cdef void _seen(zf_house_hand *h, const zf_whole_game *g) noexcept nogil:
    """What lies open of the hand in play."""
    cdef uint32_t i
    h.decl, h.bidder, h.n_plays = g.hand.decl, g.bidder, g.hand.n_plays
    h.to_play = g.hand.to_play
    for i in range(h.n_plays):
        h.plays[i] = g.hand.plays[i]


def plays_that_make_it(WholeGameBatch games not None, rows, Py_ssize_t n, *, seed, numbers,
                       Py_ssize_t first=0):
    """In how many worlds of the seats to play each domino makes the contract: u4 [k, 28], u8 [k].

    For k hands of nello or sevens. World i of a hand is a function of (seed, its number, plays
    made, i) and of what the seat knows, as in `sample_worlds` of stream EVAL_WORLDS; looked at are
    worlds first..first+n-1 or, where there are no more than first + n, all of them, once each. Of
    dominoes that are not legal the count is 0. The second array says how many worlds there are.

    Args:
        rows: hands, int [k]; None for all games.
        n: worlds a hand, at least 1.
        numbers: integer [k], of the hands.

    Raises WrongPhase where a row is at something else than such a hand.
    """
    cdef const int64_t[::1] r = games._rows(rows)
    cdef Py_ssize_t i, k = r.shape[0]
    cdef uint64_t seed_bits = seed & 0xFFFFFFFFFFFFFFFF, stream = Stream.EVAL_WORLDS
    cdef const uint64_t[::1] g = np.ascontiguousarray(
        integers("numbers", numbers, (k,))).astype(np.uint64)
    cdef zf_house_hand hand
    cdef const zf_whole_game *game
    _check_worlds(n, first)
    for i in range(k):
        game = &games.states[r[i]]
        if game.phase != ZF_PHASE_PLAY or game.hand.decl < ZF_N_DECLARATIONS:
            raise WrongPhase(f"game {r[i]}: no hand of nello or sevens is in play")
    made, worlds = np.zeros((k, N_DOMINOES), np.uint32), np.zeros(k, np.uint64)
    cdef uint32_t[:, ::1] m = made
    cdef uint64_t[::1] w = worlds
    with nogil:
        for i in range(k):
            game = &games.states[r[i]]
            _seen(&hand, game)
            w[i] = zf_house_tally(&hand, game.hand.hand[game.hand.to_play],
                                  zf_stream_key(seed_bits, stream, g[i]), first, n, &m[i, 0])
    return made, worlds


def _check_worlds(n, first):
    if n < 1 or first < 0 or first + n > 1 << 32:
        raise ValueError(f"{n} worlds from number {first} on: expected at least 1, below 2**32")


cdef class SeatHand:
    """SeatHand(decl, *, bidder, leader, plays)

    What lies open of a hand of nello or sevens that is not decided yet.

    Args:
        leader: the seat that leads the first trick.
        plays: (seat, domino) so far.

    >>> SeatHand(HouseDeclaration.NELLO, bidder=0, leader=0, plays=[]).decl
    <HouseDeclaration.NELLO: 10>
    """

    def __cinit__(self, decl, *, int bidder, int leader, plays):
        self._decl = HouseDeclaration(decl)
        if not (0 <= bidder < N_SEATS and 0 <= leader < N_SEATS):
            raise ValueError(f"bidder {bidder} and leader {leader}: seats run from 0 to 3")
        self._plays = [(index(seat), index(domino)) for seat, domino in plays]
        if len(self._plays) >= ZF_N_PLIES:
            raise ValueError(f"{len(self._plays)} plays: the hand is over")
        self._leader = leader
        self.hand.decl, self.hand.bidder = int(self._decl), bidder
        self.hand.n_plays, self.hand.to_play = len(self._plays), leader
        for place, (seat, domino) in enumerate(self._plays):
            if not (0 <= seat < N_SEATS and 0 <= domino < 28):
                raise ValueError(f"play {place}: no seat {seat} or no domino {domino}")
            self.hand.plays[place] = domino | seat << 5

    @property
    def decl(self):
        """What is played."""
        return self._decl

    def tally(self, layout, Py_ssize_t n, *, seed, number, Py_ssize_t first=0):
        """What `plays_that_make_it` counts, for the seat to play: u4 [28], int.

        Args:
            layout: masks [4] of the dominoes that the seats hold in some possible way; those of the
                seat to play alone matter.

        Raises ImpossibleDeal where it is no layout of such a hand.
        """
        cdef uint64_t key = zf_stream_key(seed & 0xFFFFFFFFFFFFFFFF, Stream.EVAL_WORLDS,
                                          number & 0xFFFFFFFFFFFFFFFF)
        _check_worlds(n, first)
        made = np.zeros(N_DOMINOES, np.uint32)
        cdef uint32_t[::1] m = made
        cdef uint64_t worlds
        held = [dominoes_of(seat) for seat in layout]
        cdef uint32_t mask = mask_of(held[self._check(0, held)])
        with nogil:
            worlds = zf_house_tally(&self.hand, mask, key, first, n, &m[0])
        return made, worlds

    def _check(self, row, held):
        """The seat to play; ImpossibleDeal unless held and played are a deal of legal plays."""
        dealt = [list(own) for own in held]
        for seat, domino in self._plays:
            dealt[seat].append(domino)
        closed = (self.hand.bidder + 2) % N_SEATS if is_nello(self._decl) else None
        try:
            check_hands(dealt)
            position = Position.of_contract(dealt, int(self._decl), self._leader, closed)
            for seat, domino in self._plays:
                if position.to_play != seat:
                    raise ValueError(f"seat {position.to_play} is to play, not seat {seat}")
                position.play(domino)
            if position.over:
                raise ValueError("the hand is over")
        except ValueError as error:
            raise ImpossibleDeal(f"layout {row}: {error}") from None
        return position.to_play
