"""What a hand is played for: the bid, who made it, what was called, and how the game stands.

A bid is 30 to 41 for points and 41 + m for m marks, 42 to 48, a plunge or a splash among them.
Calls are bids, too, or 1 for a pass, or 0 where a seat has made none or it is not known. The twin
of csrc/contract.h.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zebfast.rules.auction import LEAST_BID, MARK, PASS, call_name, call_of, marks_of
from zebfast.rules.notation import BadNotation, read_seat, shown
from zebfast.rules.position import ImpossibleDeal
from zebfast.rules.rule_set import MOST_MARKS
from zebfast.rules.seat_view import SeatView
from zebfast.rules.tiles import HALF_POINTS, N_SEATS, TOTAL_POINTS

MOST_SHOWN = 15  # marks of a side that are told apart
PASSED = 1  # a call
MOST_BID = MARK - 1 + MOST_MARKS


@dataclass(frozen=True)
class Contract:
    """A contract with the seats of the table, or as one seat sees it, which is then seat 0.

    >>> Contract(bid=31, bidder=2, shaker=3, marks=(0, 4), calls=(1, 30, 31, 1)).aim(1)
    12

    Attributes:
        bid: what the bidder's side must take, 30 to 41; or all points, for 1 to 7 marks: 42 to 48.
        bidder, shaker: seats.
        marks: of team 0 (seats 0 and 2) and team 1; 15 where there are more, and (0, 0) in a game
            for points.
        calls: by seat.

    ImpossibleDeal names what no contract can be.
    """

    bid: int
    bidder: int
    shaker: int
    marks: tuple[int, int] = (0, 0)
    calls: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        if not LEAST_BID <= self.bid <= MOST_BID:
            raise ImpossibleDeal(
                f"bid {self.bid}: a contract is {LEAST_BID} to {MARK - 1} points or, as {MARK} to "
                f"{MOST_BID}, marks"
            )
        for what, seat in (("bidder", self.bidder), ("shaker", self.shaker)):
            if not 0 <= seat < N_SEATS:
                raise ImpossibleDeal(f"{what} {seat}: seats run from 0 to 3")
        if len(self.marks) != 2 or not all(0 <= marks <= MOST_SHOWN for marks in self.marks):
            raise ImpossibleDeal(f"marks {self.marks}: two numbers from 0 to {MOST_SHOWN}")
        if len(self.calls) != N_SEATS:
            raise ImpossibleDeal(f"{len(self.calls)} calls: one for each seat is needed")
        for seat, call in enumerate(self.calls):
            if call not in (0, PASSED) and not LEAST_BID <= call <= MOST_BID:
                raise ImpossibleDeal(f"call {call} of seat {seat} is none")

    @classmethod
    def from_calls(
        cls, calls: Iterable[tuple[int, int]], *, bid: int, bidder: int, shaker: int,
        marks: Iterable[int] = (0, 0),
    ) -> Contract:  # fmt: skip
        """Of an auction: ``bid`` and ``calls``, each with its seat, are calls of whole games."""
        told = [0] * N_SEATS
        for seat, call in calls:
            told[seat] = PASSED if call == PASS else bid_of(call)
        first, second = (min(side, MOST_SHOWN) for side in marks)
        return cls(
            bid_of(bid), bidder, shaker, (first, second), (told[0], told[1], told[2], told[3])
        )

    @classmethod
    def of_view(cls, view: SeatView) -> Contract:
        """What the hand is played for whose declaration a seat has seen."""
        assert view.bidder is not None
        marks = view.marks if view.rule_set.scoring == "marks" else (0, 0)
        bidder, shaker = view.bidder, view.shaker
        return cls.from_calls(view.calls, bid=view.bid, bidder=bidder, shaker=shaker, marks=marks)

    def aim(self, team: int) -> int:
        """The least points with which a team reaches what it wants: to make it, or to set it."""
        make = min(self.bid, TOTAL_POINTS)
        return make if team % 2 == self.bidder % 2 else TOTAL_POINTS + 1 - make

    def seen_by(self, seat: int) -> Contract:
        """The same with seats and sides counted from this seat on."""
        first, second, third, fourth = self.calls[seat:] + self.calls[:seat]
        own, other = self.marks[seat % 2], self.marks[1 - seat % 2]
        shaker = (self.shaker - seat) % N_SEATS
        bidder = (self.bidder - seat) % N_SEATS
        return Contract(self.bid, bidder, shaker, (own, other), (first, second, third, fourth))

    def __str__(self) -> str:
        """One field of text: bid, bidder, shaker, marks and calls."""
        calls = ",".join(_NAMES[call] for call in self.calls)
        marks = "{}-{}".format(*self.marks)
        return f"{_NAMES[self.bid]}:{self.bidder}:{self.shaker}:{marks}:{calls}"

    @classmethod
    def from_text(cls, text: str) -> Contract:
        """What `str` has written. BadNotation, or ImpossibleDeal."""
        parts = text.split(":")
        if len(parts) != 5:
            raise BadNotation(
                f"{shown(text)} is no contract: expected bid, bidder, shaker, marks and calls with "
                ": between them, as in 31:2:3:0-4:pass,30,31,pass"
            )
        bid, bidder, shaker, marks, calls = parts
        sides = marks.split("-")
        if len(sides) != 2 or not all(side.isdecimal() and len(side) < 3 for side in sides):
            raise BadNotation(f"{shown(marks)} is no marks: expected two numbers, as in 0-4")
        told = [_read_call(call) for call in calls.split(",")]
        if len(told) != N_SEATS:
            raise BadNotation(f"{shown(calls)}: expected {N_SEATS} calls with , between them")
        return cls(
            _read_call(bid), read_seat(bidder), read_seat(shaker), (int(sides[0]), int(sides[1])),
            (told[0], told[1], told[2], told[3]),
        )  # fmt: skip


def bid_of(call: int) -> int:
    """A contract's bid for a call of whole games: marks are 41 and how many they are."""
    return call if call < MARK else MARK - 1 + marks_of(call)


def aim_of(contract: Contract | None, team: int) -> tuple[int, int]:
    """Points with which a team has won, and with which it has lost; a half without a contract."""
    if contract is None:
        return HALF_POINTS + 1, HALF_POINTS - 1
    return contract.aim(team), contract.aim(team) - 1


def check_contract(contract: Contract, leader: int) -> None:
    """ImpossibleDeal unless the hand that is led by this seat can be played for it."""
    if contract.bidder % 2 != leader % 2:
        raise ImpossibleDeal(
            f"seat {leader} leads, but seat {contract.bidder} has bid: a bidder's side leads"
        )
    for seat, call in enumerate(contract.calls):
        if call > contract.bid:
            raise ImpossibleDeal(f"seat {seat} has bid {_NAMES[call]}, over the contract")
    if contract.calls[contract.bidder] not in (0, contract.bid):
        raise ImpossibleDeal(f"seat {contract.bidder} has the contract, but called otherwise")


_NAMES = {0: "-", PASSED: call_name(PASS)} | {
    bid: call_name(bid if bid < MARK else MARK * (bid - MARK + 1))
    for bid in range(LEAST_BID, MOST_BID + 1)
}


def _read_call(text: str) -> int:
    if text == "-":
        return 0
    try:
        call = call_of(text)
    except ValueError as error:
        raise BadNotation(str(error)) from None
    return PASSED if call == PASS else bid_of(call)
