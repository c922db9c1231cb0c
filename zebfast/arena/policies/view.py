"""What a policy sees, as plain Python has it: whole numbers and lists of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(slots=True)
class View:
    """What the seat that is asked knows; the same fields as `zebfast.core.records.VIEW_DTYPE`,
    which compiled policies see.

    Masks have bit d set for domino d. Seats are relative: 0 is the own one, 1 the left neighbour, 2
    the partner. Calls are 0 for a pass, 30..41, and 42 m for m marks.

    Attributes:
        phase: 1 to call, 2 to declare, 3 to play.
        legal: mask of legal dominoes; of declarations, by id; of calls, by place in zebfast.CALLS:
            bit 0 passes, bits 1 to 12 bid 30 to 41, bit 12 + m bids m marks.
        hand: mask of the dominoes held, and ``dealt`` of the seven dealt.
        played: four masks of what each seat has played.
        winners: mask of the legal dominoes that would take the trick as it stands.
        trumps: mask of the trumps among all 28 dominoes.
        decl: id of the declaration; -1 before it.
        n_plays: plays of the hand so far.
        n_table, table: how many dominoes are on the table, and which, the lead first; -1 beyond.
        suit: the led suit, 0..6 or 7 for the called one; -1 where the seat leads.
        leader, best: seats: who leads the trick, and who takes it so far, -1 where nobody does.
        table_points: count on the table.
        points: taken in this hand by the own side and the other.
        bid, bidder: the standing bid and its seat; 0 and -1 where there is none. In a match of
            hands, the bid of the deal and the seat that led first.
        shaker, calls: the seat that shook, and the calls of the four seats; -1 where not known.
        marks, target: of the own side and the other, and what wins; 0 in a match of hands. While a
            hand is played, at most 15 are told, and no target.
        plays: 28 numbers: domino | seat << 5 in the order of play; -1 from n_plays on.
    """

    phase: int
    legal: int
    hand: int
    dealt: int
    played: list[int]
    winners: int
    trumps: int
    decl: int
    n_plays: int
    n_table: int
    table: list[int]
    suit: int
    leader: int
    best: int
    table_points: int
    points: list[int]
    bid: int
    bidder: int
    shaker: int
    calls: list[int]
    marks: list[int]
    target: int
    plays: list[int]


def views_of(records: np.ndarray) -> Iterator[View]:
    """One View for each record of VIEW_DTYPE [k]."""
    for values in zip(*(records[name].tolist() for name in records.dtype.names or ()), strict=True):
        yield View(*values)
