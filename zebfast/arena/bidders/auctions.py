"""What seats that are to call or to declare know, of many games as arrays.

A call is its place in `zebfast.rules.CALLS`: 0 passes, 1 to 12 bid 30 to 41, 12 + m bids m marks.
Plunge and splash are nobody's choice here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from zebfast.core.engine import mask_of
from zebfast.core.masks import lowest_bits
from zebfast.core.whole_game import WholeGameBatch
from zebfast.rules import CALLS, HAND_SIZE, N_DECLARATIONS, N_SEATS, TOTAL_POINTS, SeatView

NOT_MADE = 255  # in place of a call that has not been made
NO_SEAT = N_SEATS
ONE_MARK = CALLS.index(TOTAL_POINTS)  # the place of the bid of one mark
N_PRICES = TOTAL_POINTS - CALLS[1] + 1  # 30..42 points
_STRAIGHT_CALLS = (1 << len(CALLS)) - 1
_PLACES = np.full(max(CALLS) + 3, NOT_MADE, np.uint8)
_PLACES[list(CALLS)] = np.arange(len(CALLS))
for _place in range(ONE_MARK, len(CALLS)):  # a plunge or a splash counts as its marks
    _PLACES[CALLS[_place] + 1 : CALLS[_place] + 3] = _place


@dataclass(frozen=True, eq=False)
class Auctions:
    """k seats, each to call or, with the auction over, to declare. Seats are relative: 0 is the
    one that is asked, 1 its left neighbour, 2 its partner.

    Attributes:
        hand: dominoes held, 28-bit masks, u4[k].
        legal: masks u4[k] of calls, by place, or of declarations; house contracts left out.
        position: how many called before, u1[k]: 0 the shaker's left, 3 the shaker.
        calls: places u1[k, 4], or NOT_MADE.
        bid: the place of the standing bid, u1[k]; 0 while there is none.
        bidder: whose it is, u1[k]; NO_SEAT while there is none.
        marks: of the own side and the other, i4[k, 2].
        target: marks that win, i4[k].
    """

    hand: NDArray[np.uint32]
    legal: NDArray[np.uint32]
    position: NDArray[np.uint8]
    calls: NDArray[np.uint8]
    bid: NDArray[np.uint8]
    bidder: NDArray[np.uint8]
    marks: NDArray[np.int32]
    target: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.hand)

    @classmethod
    def of_games(cls, games: WholeGameBatch, rows: NDArray[np.intp]) -> Auctions:
        """The seats to act of the games in rows, each in its auction or before a declaration."""
        return cls.of_seats(games, rows, games.seat[rows])

    @classmethod
    def of_seats(
        cls, games: WholeGameBatch, rows: NDArray[np.intp], seats: NDArray[np.uint8]
    ) -> Auctions:
        """The same for any seats; what is legal is that of the seats to act."""
        position = (seats - games.shaker[rows] - 1) % N_SEATS
        order = (position.astype(np.intp)[:, None] + np.arange(N_SEATS)) % N_SEATS
        made = np.take_along_axis(_PLACES[games.calls[rows]], order, 1)
        own = seats.astype(np.intp) % 2
        bidder = games.bidder[rows]
        return cls(
            hand=np.take_along_axis(games.held[rows], seats[:, None].astype(np.intp), 1)[:, 0],
            legal=games.legal(rows) & np.uint32(_STRAIGHT_CALLS),
            position=position.astype(np.uint8),
            calls=np.where(order < games.n_calls[rows][:, None], made, NOT_MADE).astype(np.uint8),
            bid=_PLACES[games.bid[rows]],
            bidder=np.where(bidder < N_SEATS, (bidder - seats) % N_SEATS, NO_SEAT).astype(np.uint8),
            marks=games.marks[rows][np.arange(len(rows))[:, None], np.stack([own, 1 - own], 1)]
            .astype(np.int32),
            target=np.full(len(rows), games.rule_set.target, np.int32),
        )  # fmt: skip

    @classmethod
    def of_view(cls, view: SeatView) -> Auctions:
        """One seat, by what it sees. ValueError for what no auction is."""
        if len(view.hand) != HAND_SIZE:
            raise ValueError(f"{len(view.hand)} dominoes in a hand before the first trick")
        calls = np.full((1, N_SEATS), NOT_MADE, np.uint8)
        for seat, call in view.calls:
            calls[0, (seat - view.seat) % N_SEATS] = _PLACES[call]
        if view.phase == "call":
            legal = [int(_PLACES[call]) for call in view.legal if call in CALLS]
        else:
            legal = [decl for decl in view.legal if decl < N_DECLARATIONS]
        bidder = NO_SEAT if view.bidder is None else (view.bidder - view.seat) % N_SEATS
        own = view.seat % 2
        return cls(
            hand=np.array([mask_of(view.hand)], np.uint32),
            legal=np.array([sum(1 << place for place in set(legal))], np.uint32),
            position=np.array([(view.seat - view.shaker - 1) % N_SEATS], np.uint8),
            calls=calls,
            bid=_PLACES[[view.bid]],
            bidder=np.array([bidder], np.uint8),
            marks=np.array([[view.marks[own], view.marks[1 - own]]], np.int32),
            target=np.array([view.rule_set.target], np.int32),
        )

    def take(self, rows: NDArray[np.intp]) -> Auctions:
        """A subset of the seats."""
        return Auctions(*(getattr(self, field.name)[rows] for field in fields(self)))


def lowest_bid(legal: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The place u1[k] of the lowest bid in masks of legal calls; 0 where only a pass is."""
    return lowest_bits(legal & ~np.uint32(1))


def may_pass(legal: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Whether a pass is among the legal calls, bool[k]."""
    return (legal & np.uint32(1)).astype(np.bool_)


def price_of(places: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Which of the prices of 30..42 points a bid is about, intp[k]; a pass counts as 30."""
    found: NDArray[np.intp] = np.clip(places.astype(np.intp) - 1, 0, N_PRICES - 1)
    return found


def points_of(places: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Points u1[k] that a bid needs."""
    return (price_of(places) + CALLS[1]).astype(np.uint8)


def declared(legal: NDArray[np.uint32], score: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The legal declaration of the best score f8[k, 10], the lowest of equals: u1[k]."""
    bits = (legal[:, None] >> np.arange(N_DECLARATIONS, dtype=np.uint32)) & np.uint32(1)
    found: NDArray[np.uint8] = (
        np.where(bits.astype(np.bool_), score, -np.inf).argmax(axis=1).astype(np.uint8)
    )
    return found
