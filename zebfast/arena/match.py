"""Matches between two players: every deal is played twice, with the teams swapped.

See pairs.py. Results depend on the seed and the number of games only, not on `deals_per_chunk`
(a network that torch runs is the exception in principle: its last bits may depend on the shape of a
batch).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zebfast.arena.pairs import DEALS_PER_CHUNK, PairedGames
from zebfast.arena.players.base import NetworkPlayer, Player, plain_player
from zebfast.arena.players.specs import DEFAULT_TEMPERATURE
from zebfast.arena.stats import MatchResult, MatchTally, PlayedDeals

if TYPE_CHECKING:
    from zebfast.selfplay.groups import BatchEvaluator


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
    on_ply: Callable[[], object] | None = None,
) -> MatchResult:
    """Play `n_games` games (rounded up to whole deals, two games each) and count A's results.

    `bid` 30..42 is the contract of every deal; None draws one for each deal. `progress` is called
    after every chunk, from the calling thread, and `on_ply` before every ply of one; what they
    raise ends the match. Raises ValueError unless n_games and deals_per_chunk are at least 1 and a
    bid is possible.
    """
    n_deals = (n_games + 1) // 2
    chunks = play_chunks(
        player_a, player_b, n_deals=n_deals, seed=seed, bid=bid, deals_per_chunk=deals_per_chunk,
        on_ply=on_ply,
    )  # fmt: skip
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
    on_ply: Callable[[], object] | None = None,
) -> Iterator[PlayedDeals]:
    """The deals 0..n_deals-1 in order, `deals_per_chunk` at a time; errors as `play_match`."""
    if n_deals < 1 or deals_per_chunk < 1:
        raise ValueError(f"a match needs deals and chunks, not {n_deals} and {deals_per_chunk}")
    for first in range(0, n_deals, deals_per_chunk):
        count = min(deals_per_chunk, n_deals - first)
        yield play_deals(
            player_a, player_b, seed=seed, first_deal=first, n_deals=count, bid=bid, on_ply=on_ply
        )


def play_deals(
    player_a: Player,
    player_b: Player,
    *,
    seed: int,
    first_deal: int,
    n_deals: int,
    bid: int | None = None,
    on_ply: Callable[[], object] | None = None,
) -> PlayedDeals:
    """Play each of the deals first_deal..first_deal+n_deals-1 both ways."""
    games = PairedGames(seed=seed, first_deal=first_deal, n_deals=n_deals, bid=bid)
    if on_ply is None and (hasattr(player_a, "asked") or hasattr(player_b, "asked")):  # policies
        from zebfast.arena.players.policy import finishing

        finish = finishing(player_a, player_b)
        if finish is not None:
            games.finish(finish)
    while not games.over:
        if on_ply is not None:
            on_ply()
        games.advance(player_a.choose, player_b.choose)
    return games.played()


def evaluate_network(
    evaluator: BatchEvaluator,
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
