"""The v2 network's features in plain Python, from a position of the slow rules.

The slow twin of zebfast/net/features.py and csrc/v2_features.c: one group of bits after the other,
each written as its meaning says, from what the seat to play may know.
"""

from __future__ import annotations

from collections.abc import Iterable

from zebfast.rules import (
    COUNT,
    N_DECLARATIONS,
    N_DOMINOES,
    Position,
    follows,
    in_called_suit,
    led_suit,
    rank,
    trick_winner,
)

DOMINOES = range(N_DOMINOES)
OTHERS = (1, 2, 3)


def _flags(size: int, chosen: Iterable[int]) -> list[int]:
    wanted = set(chosen)
    assert wanted <= set(range(size)), wanted
    return [int(i in wanted) for i in range(size)]


def _beats(domino: int, lead: int, decl: int) -> bool:
    suit = led_suit(lead, decl)
    return rank(domino, suit, decl) > rank(lead, suit, decl)


class _View:
    """What the seat to play knows, seats relative to it."""

    def __init__(self, position: Position) -> None:
        me = position.to_play
        self.decl = position.decl
        self.held = position.hands[me]
        self.legal = position.legal()
        self.plays = [((seat - me) % 4, domino) for seat, domino in position.plays]
        self.tricks = [self.plays[i : i + 4] for i in range(0, len(self.plays), 4)]
        self.number = len(self.plays) // 4
        self.table = self.plays[4 * self.number :]
        seen = set(position.dealt[me]) | {domino for _, domino in self.plays}
        self.unseen = [d for d in DOMINOES if d not in seen]
        self.us, self.them = position.points[me % 2], position.points[1 - me % 2]
        self.first_leader = (position.leader - me) % 4

    def played_by(self, seat: int) -> list[int]:
        return [d for who, d in self.plays if who == seat]

    def voids(self, seat: int) -> set[int]:
        """Led suits that the seat did not follow."""
        found = set()
        for trick in self.tricks:
            suit = led_suit(trick[0][1], self.decl)
            for who, domino in trick[1:]:
                if who == seat and not follows(domino, suit, self.decl):
                    found.add(suit)
        return found

    def cannot(self, seat: int) -> list[int]:
        voids = self.voids(seat)
        return [d for d in self.unseen if any(follows(d, s, self.decl) for s in voids)]

    def sure(self) -> list[int]:
        return [d for d in self.held if not any(_beats(u, d, self.decl) for u in self.unseen)]

    def boss(self) -> list[int]:
        decl = self.decl
        return [
            d
            for d in self.held
            if not any(
                _beats(u, d, decl) and follows(u, led_suit(d, decl), decl) for u in self.unseen
            )
        ]

    def called(self, dominoes: list[int]) -> list[int]:
        return [d for d in dominoes if in_called_suit(d, self.decl)]

    def takes_the_lead(self, dominoes: list[int]) -> list[int]:
        """Those that, put down after the dominoes on the table, would be winning the trick."""
        down = [d for _, d in self.table]
        return [d for d in dominoes if trick_winner([*down, d], self.decl) == len(down)]


def _trick_bits(view: _View) -> list[int]:
    """Everything about the trick on the table but its dominoes."""
    if not view.table:
        return _flags(8, []) + _flags(4, [0]) + _flags(6, []) + [0]
    dominoes = [d for _, d in view.table]
    winner = view.table[trick_winner(dominoes, view.decl)][0]
    return [
        *_flags(8, [led_suit(dominoes[0], view.decl)]),
        *_flags(4, [winner]),
        *_flags(6, [sum(COUNT[d] for d in dominoes) // 5]),
        int(not view.takes_the_lead(view.unseen)),
    ]


def slow_features(position: Position) -> list[int]:
    """856 zeros and ones: what the seat to play knows."""
    view = _View(position)
    bits = _flags(28, view.held) + _flags(28, view.legal)
    for seat in range(4):
        bits += _flags(28, view.played_by(seat))
    for seat in OTHERS:
        bits += _flags(28, [d for who, d in view.table if who == seat])
    for number in range(7):
        bits += _flags(28, [d for _, d in view.plays[4 * number : 4 * number + 4]])
    bits += _flags(28, [trick[0][1] for trick in view.tricks])
    for seat in OTHERS:
        bits += _flags(28, view.cannot(seat))
    bits += _flags(28, view.boss()) + _flags(28, view.sure())
    bits += _flags(28, view.called(view.held)) + _flags(28, view.called(view.unseen))
    bits += _flags(28, view.takes_the_lead(view.legal) if view.table else [])
    for seat in OTHERS:
        bits += _flags(8, view.voids(seat))
    bits += _flags(N_DECLARATIONS, [view.decl])
    bits += _flags(7, [view.number]) + _flags(4, [len(view.table)])
    bits += _trick_bits(view)
    bits += [int(view.us > 21), int(view.them > 21)]
    bits += _flags(43, [view.us]) + _flags(43, [view.them])
    return bits + _flags(4, [view.first_leader])
