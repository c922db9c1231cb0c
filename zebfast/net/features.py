"""v2 features: an information state as 1024 bits, group by group.

Seats are relative to the observer (0 itself, then left, partner, right); "unseen" is what the
observer neither was dealt nor saw played; the "called" dominoes are those that the declaration
takes out of their pip suits. csrc/v2_features.h makes the bits, `torch.features` is its slow twin.

The groups from `FIRST_OF_CONTRACT` on are about what the hand is played for, and have no bit where
that is points. "Needs" are the points with which a side reaches what it wants, the declarers to
make the contract and the others to set it, less those that it has. Networks that know no contracts
have a row for each of the `N_HAND_BITS` before only.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType

from zebfast.net.output import N_OTHER_SEATS, N_POINTS
from zebfast.rules import LEAST_BID, MARK, N_DECLARATIONS, N_DOMINOES, N_SEATS, N_TRICKS

N_SUITS = 8

MOST_NEEDED = 40  # points needed that are told apart
MOST_MARKS = 6  # marks of a side, likewise
N_BIDS = 16  # 30..41, 1 to 3 marks, more
N_CALLS = 10  # a pass, 30..35, 36..41, a mark, more

#: Groups of bits in their order: what a set bit says.
GROUPS: Mapping[str, int] = MappingProxyType(
    {
        "held": N_DOMINOES,  # in the observer's hand now
        "legal": N_DOMINOES,  # may be played now
        "played": N_SEATS * N_DOMINOES,  # by relative seat
        "table": N_OTHER_SEATS * N_DOMINOES,  # on the table, by relative seat 1..3
        "when": N_TRICKS * N_DOMINOES,  # by the trick it was played in
        "led": N_DOMINOES,  # was led to a trick
        "cannot": N_OTHER_SEATS * N_DOMINOES,  # unseen, but this seat has shown that it lacks it
        "boss": N_DOMINOES,  # held; no unseen domino of the suit it would lead beats it
        "sure": N_DOMINOES,  # held; no unseen domino at all, called ones too, beats its lead
        "called_held": N_DOMINOES,
        "called_unseen": N_DOMINOES,
        "beats": N_DOMINOES,  # legal; would be winning the trick on the table
        "void": N_OTHER_SEATS * N_SUITS,  # this seat did not follow that led suit
        "decl": N_DECLARATIONS,
        "trick": N_TRICKS,  # number of the trick
        "place": N_SEATS,  # the observer's place in it
        "led_suit": N_SUITS,  # of the trick on the table
        "winning": N_SEATS,  # relative seat that is winning it; 0 = the observer leads
        "table_count": 6,  # its count, 0..25 by 5
        "safe": 1,  # no unseen domino beats what is winning it
        "won": 1,  # the observer's side has more than half of the points
        "lost": 1,  # the other side has
        "us": N_POINTS,  # points taken by the observer's side
        "them": N_POINTS,
        "first_leader": N_SEATS,  # relative seat that led the first trick
        "bid": N_BIDS,
        "all": 1,  # all points are needed to make it
        "declaring": 1,  # the observer's side has bid
        "bidder": N_SEATS,  # relative seat
        "shaker": N_SEATS,  # relative seat
        "we_need": MOST_NEEDED + 1,
        "they_need": MOST_NEEDED + 1,
        # With 0, 5 or 10 points more than lie on the table, the trick gives our side what it needs;
        # then the other's.
        "enough": 2 * 3,
        "call": N_SEATS * N_CALLS,  # by relative seat; none where it is not known
        "marks": 2 * (MOST_MARKS + 1),  # of the observer's side, of the other
    }
)
#: Group -> number of its first bit.
START: Mapping[str, int] = MappingProxyType(
    dict(zip(GROUPS, accumulate(GROUPS.values(), initial=0), strict=False))
)
N_BITS = sum(GROUPS.values())
FIRST_OF_CONTRACT = "bid"
N_HAND_BITS = START[FIRST_OF_CONTRACT]


def call_kind(call: int) -> int:
    """Which bit of "call" says a seat's call, 1 or 30 to 48 as contracts have them."""
    if call < LEAST_BID:
        return 0
    if call >= MARK:
        return 8 if call == MARK else 9
    return min(1 + call - LEAST_BID, 7)
