"""The twin of csrc/solve.c: plain minimax over every legal play, no bounds, nothing pruned.

The rules come from zebfast.rules; masks and a memory of positions are only there so that ten
thousand positions take seconds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import numpy as np

from zebfast import rules
from zebfast.core.records import POSITION_DTYPE

Hands = tuple[int, int, int, int]


@cache
def followers(decl: int, lead: int) -> int:
    """Mask of the dominoes that follow a lead."""
    suit = rules.led_suit(lead, decl)
    return sum(1 << d for d in range(28) if rules.follows(d, suit, decl))


@cache
def dominoes_of(mask: int) -> tuple[int, ...]:
    return tuple(d for d in range(28) if mask >> d & 1)


@cache
def trick(decl: int, table: tuple[int, ...]) -> tuple[int, int]:
    """Place of the winner (0 = the leader) and the points of a full trick."""
    return rules.trick_winner(table, decl), rules.trick_points(table)


class SlowSolver:
    """Minimax of one declaration; remembers every position it has valued."""

    def __init__(self, decl: int) -> None:
        self.decl = decl
        self.known: dict[tuple[Hands, int, tuple[int, ...]], int] = {}

    def legal(self, hands: Hands, leader: int, table: tuple[int, ...]) -> tuple[int, ...]:
        hand = hands[(leader + len(table)) & 3]
        if table and hand & followers(self.decl, table[0]):
            hand &= followers(self.decl, table[0])
        return dominoes_of(hand)

    def play(self, hands: Hands, leader: int, table: tuple[int, ...], domino: int) -> int:
        """Team 0 minus team 1 to come once this domino is down."""
        held = list(hands)
        held[(leader + len(table)) & 3] &= ~(1 << domino)
        table = (*table, domino)
        if len(table) < 4:
            return self.value(tuple(held), leader, table)  # type: ignore[arg-type]
        place, points = trick(self.decl, table)
        winner = (leader + place) & 3
        gain = -points if winner & 1 else points
        return gain + self.value(tuple(held), winner, ())  # type: ignore[arg-type]

    def value(self, hands: Hands, leader: int, table: tuple[int, ...]) -> int:
        """Team 0 minus team 1 to come under best play."""
        key = (hands, leader, table)
        if key not in self.known:
            after = [self.play(*key, domino) for domino in self.legal(*key)]
            best = min if leader + len(table) & 1 else max
            self.known[key] = best(after, default=0)
        return self.known[key]

    def plays(self, hands: Hands, leader: int, table: tuple[int, ...]) -> dict[int, int]:
        """The value of every legal play."""
        return {d: self.play(hands, leader, table, d) for d in self.legal(hands, leader, table)}


def slow_plays(position: np.void) -> dict[int, int]:
    """The value of every legal play of one POSITION_DTYPE record, with a fresh memory."""
    table = tuple(int(d) for d in position["table"][: position["n_table"]])
    hands = tuple(int(h) for h in position["hands"])
    return SlowSolver(int(position["decl"])).plays(hands, int(position["leader"]), table)  # type: ignore[arg-type]


def best_of(plays: dict[int, int], seat: int) -> int:
    """The value of a position from its plays'; 0 when there is none."""
    return (min if seat & 1 else max)(plays.values(), default=0)


def position_record(
    hands: Sequence[Sequence[int]], decl: int, leader: int, table: Sequence[int] = ()
) -> np.ndarray:
    """POSITION_DTYPE [1] from domino ids; nothing is checked."""
    out = np.zeros(1, POSITION_DTYPE)
    out["hands"] = [sum(1 << d for d in hand) for hand in hands]
    out["decl"], out["leader"], out["n_table"] = decl, leader, len(table)
    out["table"][0, : min(len(table), 3)] = table[:3]
    return out


def random_position(rng: random.Random, tricks: int, on_table: int) -> np.ndarray:
    """POSITION_DTYPE [1] with so many unfinished tricks and on_table (0..3) dominoes down."""
    drawn = rng.sample(range(28), 4 * tricks)
    hands = [drawn[tricks * s : tricks * (s + 1)] for s in range(4)]
    decl, leader = rng.randrange(10), rng.randrange(4)
    table: list[int] = []
    for i in range(on_table):
        hand = hands[(leader + i) & 3]
        table.append(rng.choice(rules.legal_plays(hand, table[0] if table else None, decl)))
        hand.remove(table[-1])
    return position_record(hands, decl, leader, table)
