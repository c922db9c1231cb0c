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
    PASSED,
    Contract,
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


def _call(call: int) -> list[int]:
    """Pass, 30 to 35, 36 to 41, a mark, more; nothing where the call is not known."""
    said = [call == PASSED, *(call == bid for bid in range(30, 36)), 36 <= call <= 41]
    return [int(is_so) for is_so in (*said, call == 42, call > 42)]


def _contract_bits(view: _View, contract: Contract) -> list[int]:
    """The contract as seen by the seat to play."""
    declaring = contract.bidder % 2 == 0
    aims = [contract.aim(0), contract.aim(1)]
    needs = [max(0, aims[0] - view.us), max(0, aims[1] - view.them)]
    on_table = sum(COUNT[d] for _, d in view.table)
    bits = [*_flags(16, [min(contract.bid - 30, 15)]), int(contract.bid >= 42), int(declaring)]
    bits += _flags(4, [contract.bidder]) + _flags(4, [contract.shaker])
    bits += _flags(41, [min(needs[0], 40)]) + _flags(41, [min(needs[1], 40)])
    for need in needs:
        bits += [int(on_table + 1 + more >= need) for more in (0, 5, 10)]
    for call in contract.calls:
        bits += _call(call)
    for marks in contract.marks:
        bits += _flags(7, [min(marks, 6)])
    return bits


def slow_features(position: Position, contract: Contract | None = None) -> list[int]:
    """1024 zeros and ones: what the seat to play knows; the contract has the table's seats."""
    view = _View(position)
    about = [0] * 168
    if contract is not None:
        about = _contract_bits(view, contract.seen_by(position.to_play))
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
    return bits + _flags(4, [view.first_leader]) + about
