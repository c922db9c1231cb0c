"""Matches between two players: every deal is played twice, with the teams swapped.

Deal i of a match is game i of stream 3 of the seed: hands, declaration 0..9, leader and bid all
random. Player A is team 0 (seats 0 and 2) in game 2i and team 1 in game 2i + 1, so neither the
deal nor the lead favours a side. The team of the leader declared, and the deal's bid is its
contract. Results depend on the seed and the number of games only, not on `deals_per_chunk`
(a network is the exception in principle: its last bits may depend on the shape of a batch).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.draws import HIGHEST_BID, LOWEST_BID, PlayDraws, random_bids
from zebfast.arena.players import NetworkPlayer, Player, plain_player
from zebfast.arena.specs import DEFAULT_TEMPERATURE
from zebfast.arena.stats import MatchResult, MatchTally, PlayedDeals
from zebfast.core.engine import GameBatch
from zebfast.rules import Stream

if TYPE_CHECKING:
    from zebfast.selfplay.games import Evaluator

PLIES = 28
DEALS_PER_CHUNK = 512


@dataclass(frozen=True)
class MatchProgress:
    """How far a match is: games done of `total`, A's wins so far, and the seconds behind it."""

    done: int
    total: int
    wins: int
    seconds: float

    @property
    def games_per_s(self) -> float:
        """Average rate so far; 0.0 before the clock moves."""
        return self.done / self.seconds if self.seconds > 0 else 0.0


ProgressCallback = Callable[[MatchProgress], None]


def play_match(
    player_a: Player,
    player_b: Player,
    *,
    n_games: int,
    seed: int = 0,
    bid: int | None = None,
    deals_per_chunk: int = DEALS_PER_CHUNK,
    progress: ProgressCallback | None = None,
) -> MatchResult:
    """Play `n_games` games (rounded up to whole deals, two games each) and count A's results.

    `bid` 30..42 is the contract of every deal; None draws one for each deal. `progress` is called
    after every chunk, from the calling thread. Raises ValueError unless n_games and
    deals_per_chunk are at least 1 and a bid is possible.
    """
    n_deals = (n_games + 1) // 2
    chunks = play_chunks(
        player_a, player_b, n_deals=n_deals, seed=seed, bid=bid, deals_per_chunk=deals_per_chunk
    )
    tally = MatchTally()
    start = time.perf_counter()
    for played in chunks:
        tally.add(played)
        if progress is not None:
            elapsed = time.perf_counter() - start
            progress(MatchProgress(tally.games, 2 * n_deals, tally.wins, elapsed))
    seconds = time.perf_counter() - start
    names = {"player_a": player_a.name, "player_b": player_b.name}
    return tally.result(**names, seed=seed, bid=bid, seconds=seconds)


def play_chunks(
    player_a: Player,
    player_b: Player,
    *,
    n_deals: int,
    seed: int,
    bid: int | None,
    deals_per_chunk: int,
) -> Iterator[PlayedDeals]:
    """The deals 0..n_deals-1 in order, `deals_per_chunk` at a time; errors as `play_match`."""
    if n_deals < 1 or deals_per_chunk < 1:
        raise ValueError(f"a match needs deals and chunks, not {n_deals} and {deals_per_chunk}")
    for first in range(0, n_deals, deals_per_chunk):
        count = min(deals_per_chunk, n_deals - first)
        yield play_deals(player_a, player_b, seed=seed, first_deal=first, n_deals=count, bid=bid)


def play_deals(
    player_a: Player,
    player_b: Player,
    *,
    seed: int,
    first_deal: int,
    n_deals: int,
    bid: int | None = None,
) -> PlayedDeals:
    """Play each of the deals first_deal..first_deal+n_deals-1 both ways."""
    deals = _deal(seed=seed, first_deal=first_deal, n_deals=n_deals)
    contracts = _contracts(deals, seed=seed, first_deal=first_deal, bid=bid)
    batch = deals.take(np.repeat(np.arange(n_deals), 2))
    bids = np.repeat(contracts.bids, 2)
    games = np.arange(2 * first_deal, 2 * (first_deal + n_deals), dtype=np.uint64)
    a_team = (games & np.uint64(1)).astype(np.uint8)
    for ply in range(PLIES):
        plies = np.full(len(games), ply, dtype=np.uint8)
        draws = PlayDraws(seed=seed, games=games, plies=plies)
        a_plays = (batch.to_play & 1) == a_team
        dominoes = np.empty(len(games), dtype=np.uint8)
        for player, rows in (
            (player_a, np.flatnonzero(a_plays)),
            (player_b, np.flatnonzero(~a_plays)),
        ):
            if len(rows):
                dominoes[rows] = player.choose(batch, rows, draws.take(rows), bids[rows])
        batch.play(dominoes)
    own = np.take_along_axis(batch.points, a_team[:, None].astype(np.intp), axis=1)
    return contracts.with_points(own.reshape(n_deals, 2))


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
    """The contracts of deals 0..n_deals-1 without playing them. ValueError: no possible bid."""
    parts = []
    for first in range(0, n_deals, DEALS_PER_CHUNK):  # a dealt game takes far more than its bid
        count = min(DEALS_PER_CHUNK, n_deals - first)
        deals = _deal(seed=seed, first_deal=first, n_deals=count)
        parts.append(_contracts(deals, seed=seed, first_deal=first, bid=bid))
    return Contracts(
        declared=np.concatenate([part.declared for part in parts]),
        bids=np.concatenate([part.bids for part in parts]),
    )


def _deal(*, seed: int, first_deal: int, n_deals: int) -> GameBatch:
    return GameBatch.deal(n_deals, seed=seed, first_game=first_deal, stream=Stream.EVAL_DEAL)


def _contracts(deals: GameBatch, *, seed: int, first_deal: int, bid: int | None) -> Contracts:
    numbers = np.arange(first_deal, first_deal + len(deals), dtype=np.uint64)
    if bid is None:
        bids = random_bids(seed=seed, deals=numbers)
    elif LOWEST_BID <= bid <= HIGHEST_BID:
        bids = np.full(len(deals), bid, dtype=np.uint8)
    else:
        raise ValueError(f"bid {bid}: bids run from {LOWEST_BID} to {HIGHEST_BID}")
    teams = np.arange(2, dtype=np.uint8)
    return Contracts(declared=(deals.leader & 1)[:, None] == teams, bids=bids)


def evaluate_network(
    evaluator: Evaluator,
    *,
    opponent: str = "random",
    n_games: int = 2000,
    seed: int = 0,
    temperature: float = DEFAULT_TEMPERATURE,
    name: str = "network",
    progress: ProgressCallback | None = None,
) -> MatchResult:
    """How a network's bare policy does against a plain player ("random", "heuristic", ...).

    Same rules as `play_match`. Raises ValueError for an opponent that needs weights of its own.
    """
    return play_match(
        NetworkPlayer(name=name, evaluator=evaluator, temperature=temperature),
        plain_player(opponent),
        n_games=n_games,
        seed=seed,
        progress=progress,
    )
