"""Nello and sevens at the table: E[Q] for the contract, over layouts that the seat thinks possible.

The straight players know four to a trick and suits; these contracts have a solver of their own
(`core.house`), which says after which plays the contract is made with all hands open. Whatever
plays the straight hands, these are played so, in as many layouts, or for as long, as its spec says
of those. As with every average over open hands, what it says is no price (`pimc`): it only ranks
plays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import Rows
from zebfast.arena.players.specs import (
    PimcOptions,
    PlayerOptions,
    RolloutSearch,
    TreeSearch,
)
from zebfast.core.house import SeatHand, plays_that_make_it
from zebfast.core.masks import domino_bits
from zebfast.core.whole_game import WholeGameBatch
from zebfast.core.worlds import WorldSet
from zebfast.rules import (
    CALLED_SUIT,
    HAND_SIZE,
    N_DOMINOES,
    N_SEATS,
    HouseDeclaration,
    SeatView,
    follows,
    is_nello,
    led_suit,
    rank,
)

N_WORLDS = 20
FIRST_WORLDS = 8  # where time is limited; then as many again as there were
#: Asks about decisions, a number first and how many worlds: what plays_that_make_it says.
_Ask = Callable[[Rows, int, int], tuple[NDArray[np.uint32], NDArray[np.uint64]]]


@dataclass(frozen=True)
class HouseOptions:
    """Worlds of a decision, at most; seconds that it may take, 0 for as long as they take."""

    n_worlds: int = N_WORLDS
    seconds: float = 0.0

    @classmethod
    def of(cls, options: PlayerOptions) -> HouseOptions:
        """As many worlds, or as much time, as a player of straight hands has for a decision."""
        if isinstance(options, PimcOptions):
            return cls(options.n_worlds)
        if isinstance(options, TreeSearch):
            return cls(options.search.n_worlds)
        if isinstance(options, RolloutSearch):
            return cls(options.rollout.n_worlds, options.rollout.seconds)
        return cls()


def house_plays(
    games: WholeGameBatch, rows: Rows, options: HouseOptions, *, seed: int,
    numbers: NDArray[np.uint64],
) -> NDArray[np.uint8]:  # fmt: skip
    """For rows at nello or sevens the legal domino, u1[k], that most often makes the contract, for
    its side, else most seldom; the lowest of equals.

    Worlds are drawn by (seed, number): of the hands, ``numbers``. Decisions share their time, and
    without a limit of it nothing depends on what else is asked.
    """

    def ask(some: Rows, first: int, n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
        return plays_that_make_it(
            games, rows[some], n, seed=seed, numbers=numbers[some], first=first
        )

    sides = np.where((games.seat[rows] ^ games.bidder[rows]) & 1, -1, 1)
    return _best(_tally(ask, len(rows), options), games.legal(rows), sides)


def house_play(
    view: SeatView, options: HouseOptions | None = None, *, seed: int, number: int
) -> int:
    """`house_plays` of one seat's view. Raises ImpossibleWorlds where no layout agrees with it, and
    ImpossibleDeal where its plays are not legal."""
    assert view.decl is not None
    assert view.bidder is not None
    leader = view.plays[0][0] if view.plays else view.seat
    hand = SeatHand(view.decl, bidder=view.bidder, leader=leader, plays=view.plays)
    layout = possible_worlds(view).unrank([0])[0].tolist()

    def ask(_: Rows, first: int, n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
        made, worlds = hand.tally(layout, n, seed=seed, number=number, first=first)
        return made[None], np.array([worlds], np.uint64)

    legal = np.array([sum(1 << domino for domino in view.legal)], np.uint32)
    sides = np.array([1 if view.seat % 2 == view.bidder % 2 else -1])
    return int(_best(_tally(ask, 1, options or HouseOptions()), legal, sides)[0])


def _best(
    made: NDArray[np.int64], legal: NDArray[np.uint32], sides: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The best legal plays by how many worlds each makes it in, [k, 28]; sides: +1 if it is to."""
    worth = np.where(domino_bits(legal), sides[:, None] * made, np.iinfo(np.int64).min)
    dominoes: NDArray[np.uint8] = worth.argmax(axis=1).astype(np.uint8)
    return dominoes


def _tally(
    ask: _Ask, k: int, options: HouseOptions, clock: Callable[[], float] = time.perf_counter
) -> NDArray[np.int64]:
    """In how many worlds each domino makes it, [k, 28]: of all of them, or in growing stages until
    their time is over."""
    made, still = np.zeros((k, N_DOMINOES), np.int64), np.arange(k)
    ends = clock() + options.seconds * k
    first = 0
    last = min(FIRST_WORLDS, options.n_worlds) if options.seconds else options.n_worlds
    while first < last and len(still):
        before = clock()
        more, worlds = ask(still, first, last - first)
        everything = worlds <= np.uint64(last)
        made[still] = more + np.where(everything[:, None], 0, made[still])
        still = still[~everything]
        after = clock()
        pace = (after - before) / (last - first)
        first, room = last, int((ends - after) / max(pace, 1e-9))
        last = min(2 * first, options.n_worlds, first + max(0, room))
    return made


def possible_worlds(view: SeatView) -> WorldSet:
    """The layouts of the hidden dominoes that agree with all that the seat knows."""
    played = [sum(seat == own for seat, _ in view.plays) for own in range(N_SEATS)]
    known = {domino for _, domino in view.plays} | set(view.hand)
    return WorldSet.from_knowledge(
        hidden=[domino for domino in range(N_DOMINOES) if domino not in known],
        sizes=[HAND_SIZE - n for n in played],
        barred=shown_voids(view),
        viewer=view.seat,
        hand=view.hand,
    )


def shown_voids(view: SeatView) -> list[list[int]]:
    """Dominoes that each seat has shown not to hold: by not following, or in sevens by playing one
    that is farther from seven pips."""
    assert view.decl is not None
    barred: list[set[int]] = [set() for _ in range(N_SEATS)]
    size = N_SEATS - 1 if is_nello(view.decl) else N_SEATS
    for ply, (seat, domino) in enumerate(view.plays):
        if view.decl == HouseDeclaration.SEVENS:
            own = rank(domino, CALLED_SUIT, view.decl)
            nearer = (d for d in range(N_DOMINOES) if rank(d, CALLED_SUIT, view.decl) > own)
            barred[seat] |= set(nearer)
            continue
        suit = led_suit(view.plays[ply - ply % size][1], view.decl)
        if not follows(domino, suit, view.decl):
            barred[seat] |= {d for d in range(N_DOMINOES) if follows(d, suit, view.decl)}
    return [sorted(found) for found in barred]
