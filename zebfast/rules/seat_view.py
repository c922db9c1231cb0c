"""What one seat may know of a whole game."""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.rules.rule_set import RuleSet
from zebfast.rules.whole_game import HandResult


@dataclass(frozen=True)
class SeatView:
    """What a seat knows: its own hand, and what lies open to all. Ids and calls as in WholeGame.

    Two games that differ only in what the other seats hold, or held, have equal views.

    Attributes:
        seat: whose view it is.
        rule_set, marks, results, hand_number, shaker, phase: of the game; all are public.
        to_act: the seat that is to act; None before a deal and at the end.
        dealt: the seat's own seven dominoes; empty before the first deal.
        hand: those it still holds.
        calls: (seat, call) of the auction so far.
        bid: the standing bid, 0 while there is none, and ``bidder`` the seat that made it.
        declarer: the seat that names the declaration.
        decl: the declaration's id, None until it is made.
        plays: (seat, domino) of every play of the hand, and ``trick`` the dominoes on the table.
        points: of the two teams in this hand.
        legal: calls, declarations or dominoes, by the phase, if it is this seat's turn.
    """

    seat: int
    rule_set: RuleSet
    marks: tuple[int, int]
    results: tuple[HandResult, ...]
    hand_number: int
    shaker: int
    phase: str
    to_act: int | None
    dealt: tuple[int, ...]
    hand: tuple[int, ...]
    calls: tuple[tuple[int, int], ...]
    bid: int
    bidder: int | None
    declarer: int | None
    decl: int | None
    plays: tuple[tuple[int, int], ...]
    trick: tuple[int, ...]
    points: tuple[int, int]
    legal: tuple[int, ...]
