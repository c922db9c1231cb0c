"""Nello and sevens with all hands open: after which plays the contract is made."""

from libc.stdint cimport uint32_t

from operator import index

import numpy as np

from zebfast.rules import (
    N_SEATS,
    HouseDeclaration,
    ImpossibleDeal,
    Position,
    check_hands,
    is_nello,
)

from zebfast.core.engine cimport ZF_N_PLIES, dominoes_of


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

    def _check(self, row, held):
        """ImpossibleDeal unless held and played are a deal in which the plays are legal."""
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
