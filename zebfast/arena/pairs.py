"""Deals played both ways: each is two games, with the teams swapped in the second.

Deal i is game i of a stream of the seed: hands, declaration 0..9, leader and bid all random.
Player A is team 0 (seats 0 and 2) in game 2i and team 1 in game 2i + 1, so neither the deal nor
the lead favours a side. The team of the leader declared, and the deal's bid is its contract.
Random numbers are those of the shared counter-based generator, over whole arrays at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.arena.stats import PlayedDeals
from zebfast.core.engine import GameBatch
from zebfast.rules import N_PLIES, Stream

# Bids in points: nobody may bid less, nobody can take more.
LOWEST_BID, HIGHEST_BID = 30, rules.TOTAL_POINTS

DEALS_PER_CHUNK = 512
_BID_DRAW = 29  # of a deal's stream: `rules.deal` takes draws 0 to 28
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class PlayRng:
    """The numbers of one set of rows about to play: stream EVAL_PLAY of `seed`.

    games: u8[k] game numbers within the match. plies: u1[k] plays already made in each game.
    """

    seed: int
    games: NDArray[np.uint64]
    plies: NDArray[np.uint8]

    def take(self, rows: NDArray[np.intp]) -> PlayRng:
        """The numbers of a subset of the rows, by position."""
        return PlayRng(seed=self.seed, games=self.games[rows], plies=self.plies[rows])

    def bits(self) -> NDArray[np.uint64]:
        """The 64-bit number of each row, u8[k]: `rules.bits(rules.stream_key(...), ply)`."""
        plies = self.plies.astype(np.uint64)
        return _numbers(seed=self.seed, stream=Stream.EVAL_PLAY, games=self.games, indices=plies)

    def below(self, limits: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """A number in 0..limits-1 for each row, int64[k]: `rules.bounded`; limits up to 2**31."""
        return _scaled(self.bits(), limits.astype(np.uint64)).astype(np.int64)

    def uniform(self) -> NDArray[np.float64]:
        """A number in [0, 1) for each row, float64[k], from the top 53 bits."""
        return (self.bits() >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_bids(
    *, seed: int, deals: NDArray[np.uint64], stream: Stream = Stream.EVAL_DEAL
) -> NDArray[np.uint8]:
    """A bid u1[n] in 30..42 for each deal number, all equally likely.

    The first draw of the deals' own stream that a deal leaves free, so that it has one bid whoever
    plays it: `30 + rules.bounded(key, 29, 13)`.
    """
    index = np.full(len(deals), _BID_DRAW, dtype=np.uint64)
    numbers = _numbers(seed=seed, stream=stream, games=deals, indices=index)
    above = _scaled(numbers, np.uint64(HIGHEST_BID - LOWEST_BID + 1))
    return (above + np.uint64(LOWEST_BID)).astype(np.uint8)


def _numbers(
    *, seed: int, stream: Stream, games: NDArray[np.uint64], indices: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    # The formulas in `rules` only add, multiply, shift and mask, so they hold for whole arrays
    # of 64-bit numbers as they stand; that keeps their one definition.
    key = rules.stream_key(seed, stream, cast(Any, games))
    return cast(NDArray[np.uint64], rules.bits(key, cast(Any, indices)))


def _scaled(
    numbers: NDArray[np.uint64], limits: NDArray[np.uint64] | np.uint64
) -> NDArray[np.uint64]:
    """High 64 bits of the product; limits up to 2**31."""
    low = ((numbers & _LOW_HALF) * limits) >> _HALF
    high = (numbers >> _HALF) * limits + low
    return high >> _HALF


Rows = NDArray[np.intp]  # k games of a batch
Bids = NDArray[np.uint8]
Dominoes = NDArray[np.uint8]
#: `Player.choose`: (batch, rows intp[k], rng, bids u1[k]) -> legal dominoes u1[k].
Choose = Callable[[GameBatch, Rows, PlayRng, Bids], Dominoes]
#: Plays n games to their ends: (batch, team u1[n] of player A, rng, bids u1[n]).
Finish = Callable[[GameBatch, NDArray[np.uint8], PlayRng, Bids], None]


@dataclass(frozen=True)
class Contracts:
    """Who declared and what was bid on n deals: the same for every pairing of players.

    declared: bool[n, 2], whether the team of column 0 or 1 declared. bids: u1[n].
    """

    declared: NDArray[np.bool_]
    bids: NDArray[np.uint8]

    def with_points(self, points: NDArray[np.uint8]) -> PlayedDeals:
        """What A did, given its points u1[n, 2] as team 0 and as team 1."""
        return PlayedDeals(points=points, declared=self.declared, bids=self.bids)


def contracts(*, seed: int, n_deals: int, bid: int | None) -> Contracts:
    """The contracts of deals 0..n_deals-1 of a match without playing them.

    Raises ValueError for a bid that is not possible.
    """
    parts = []
    for first in range(0, n_deals, DEALS_PER_CHUNK):  # a dealt game takes far more than its bid
        count = min(DEALS_PER_CHUNK, n_deals - first)
        stream = Stream.EVAL_DEAL
        deals = GameBatch.deal(count, seed=seed, first_game=first, stream=stream)
        parts.append(_contracts(deals, seed=seed, first_deal=first, bid=bid, stream=stream))
    return Contracts(
        declared=np.concatenate([part.declared for part in parts]),
        bids=np.concatenate([part.bids for part in parts]),
    )


class PairedGames:
    """The deals first_deal..first_deal+n_deals-1, two games each, played one ply at a time.

    Attributes:
        batch: GameBatch [2 n_deals]; row 2i is deal first_deal + i with A as team 0.

    Args:
        bid: 30..42 = the contract of every deal; None = drawn for each.
        stream: what deals and bids come from. A match's are never trained on.

    Raises:
        ValueError: the bid is not possible.
    """

    def __init__(
        self,
        *,
        seed: int,
        first_deal: int,
        n_deals: int,
        bid: int | None = None,
        stream: Stream = Stream.EVAL_DEAL,
    ) -> None:
        deals = GameBatch.deal(n_deals, seed=seed, first_game=first_deal, stream=stream)
        self.batch = deals.take(np.repeat(np.arange(n_deals), 2))
        self._seed = seed
        self._contracts = _contracts(
            deals, seed=seed, first_deal=first_deal, bid=bid, stream=stream
        )
        self._bids = np.repeat(self._contracts.bids, 2)
        self._games = np.arange(2 * first_deal, 2 * (first_deal + n_deals), dtype=np.uint64)
        self._a_team = (self._games & np.uint64(1)).astype(np.uint8)
        self._ply = 0

    @property
    def over(self) -> bool:
        """Are all games finished? They all have as many plays."""
        return self._ply == N_PLIES

    def advance(self, choose_a: Choose, choose_b: Choose) -> None:
        """One play in every game."""
        batch, n = self.batch, len(self._games)
        plies = np.full(n, self._ply, dtype=np.uint8)
        rng = PlayRng(seed=self._seed, games=self._games, plies=plies)
        a_plays = (batch.to_play & 1) == self._a_team
        dominoes = np.empty(n, dtype=np.uint8)
        for choose, rows in (
            (choose_a, np.flatnonzero(a_plays)),
            (choose_b, np.flatnonzero(~a_plays)),
        ):
            if len(rows):
                dominoes[rows] = choose(batch, rows, rng.take(rows), self._bids[rows])
        batch.play(dominoes)
        self._ply += 1

    def finish(self, finish: Finish) -> None:
        """All games to their ends, in one call."""
        plies = np.full(len(self._games), self._ply, dtype=np.uint8)
        rng = PlayRng(seed=self._seed, games=self._games, plies=plies)
        finish(self.batch, self._a_team, rng, self._bids)
        self._ply = N_PLIES

    def played(self) -> PlayedDeals:
        """What A did, once the games are over."""
        teams = self._a_team[:, None].astype(np.intp)
        own = np.take_along_axis(self.batch.points, teams, axis=1)
        return self._contracts.with_points(own.reshape(-1, 2))


def _contracts(
    deals: GameBatch, *, seed: int, first_deal: int, bid: int | None, stream: Stream
) -> Contracts:
    numbers = np.arange(first_deal, first_deal + len(deals), dtype=np.uint64)
    if bid is None:
        bids = random_bids(seed=seed, deals=numbers, stream=stream)
    elif LOWEST_BID <= bid <= HIGHEST_BID:
        bids = np.full(len(deals), bid, dtype=np.uint8)
    else:
        raise ValueError(f"bid {bid}: bids run from {LOWEST_BID} to {HIGHEST_BID}")
    teams = np.arange(2, dtype=np.uint8)
    return Contracts(declared=(deals.leader & 1)[:, None] == teams, bids=bids)
