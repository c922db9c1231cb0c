"""Matches between two players: every deal is played twice, with the teams swapped.

Deal i of a match is game i of stream 3 of the seed: hands, declaration 0..9 and leader all
random. Player A is team 0 (seats 0 and 2) in game 2i and team 1 in game 2i + 1, so neither the
deal nor the lead favours a side. Results depend on the seed and the number of games only, not on
`deals_per_chunk`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.draws import PlayDraws
from zebfast.arena.players import NetworkPlayer, Player, plain_player
from zebfast.arena.specs import DEFAULT_TEMPERATURE
from zebfast.arena.stats import MatchResult, MatchTally
from zebfast.core.engine import GameBatch
from zebfast.rules import Stream

if TYPE_CHECKING:
    from zebfast.selfplay.games import Evaluator

PLIES = 28


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

    @property
    def eta_s(self) -> float:
        """Seconds left at that rate; infinite while nothing is done."""
        return (self.total - self.done) / self.games_per_s if self.games_per_s else float("inf")


ProgressCallback = Callable[[MatchProgress], None]


def play_match(
    player_a: Player,
    player_b: Player,
    *,
    n_games: int,
    seed: int = 0,
    deals_per_chunk: int = 512,
    progress: ProgressCallback | None = None,
) -> MatchResult:
    """Play `n_games` games (rounded up to whole deals, two games each) and count A's results.

    `progress` is called after every chunk, from the calling thread. Raises ValueError unless
    n_games and deals_per_chunk are at least 1.
    """
    if n_games < 1 or deals_per_chunk < 1:
        raise ValueError(f"a match needs games and chunks, not {n_games} and {deals_per_chunk}")
    n_deals = (n_games + 1) // 2
    tally = MatchTally()
    start = time.perf_counter()
    for first in range(0, n_deals, deals_per_chunk):
        count = min(deals_per_chunk, n_deals - first)
        tally.add(play_deals(player_a, player_b, seed=seed, first_deal=first, n_deals=count))
        if progress is not None:
            elapsed = time.perf_counter() - start
            progress(MatchProgress(tally.games, 2 * n_deals, tally.wins, elapsed))
    seconds = time.perf_counter() - start
    return tally.result(player_a=player_a.name, player_b=player_b.name, seed=seed, seconds=seconds)


def play_deals(
    player_a: Player, player_b: Player, *, seed: int, first_deal: int, n_deals: int
) -> NDArray[np.int64]:
    """A's margins int64[n_deals, 2]: points of A minus points of B, first as team 0, then 1."""
    deals = GameBatch.deal(n_deals, seed=seed, first_game=first_deal, stream=Stream.EVAL_DEAL)
    batch = deals.take(np.repeat(np.arange(n_deals), 2))
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
                dominoes[rows] = player.choose(batch, rows, draws.take(rows))
        batch.play(dominoes)
    points = batch.points.astype(np.int64)
    own = np.take_along_axis(points, a_team[:, None].astype(np.intp), axis=1)
    other = np.take_along_axis(points, 1 - a_team[:, None].astype(np.intp), axis=1)
    return (own - other).reshape(n_deals, 2)


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
