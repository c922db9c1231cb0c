"""v2 features: an information state as 856 bits, group by group.

Seats are relative to the observer (0 itself, then left, partner, right); "unseen" is what the
observer neither was dealt nor saw played; the "called" dominoes are those that the declaration
takes out of their pip suits. csrc/v2_features.h makes the bits, `torch.features` is its slow twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType

from zebfast.net.output import N_OTHER_SEATS, N_POINTS
from zebfast.rules import N_DECLARATIONS, N_DOMINOES, N_SEATS, N_TRICKS

N_SUITS = 8

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
    }
)
#: Group -> number of its first bit.
START: Mapping[str, int] = MappingProxyType(
    dict(zip(GROUPS, accumulate(GROUPS.values(), initial=0), strict=False))
)
N_BITS = sum(GROUPS.values())
