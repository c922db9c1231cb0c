"""Whole games by a method: matches of it as a player, and what a game of self-play costs.

Times are CPU seconds, as in quality_measure.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quality_measure import COUNTED, TREES, interval
from quality_methods import Method
from timed_player import TimedPlayer

from zebfast.arena.match import MatchProgress, play_match
from zebfast.arena.players.base import Player
from zebfast.arena.players.search import SearchPlayer
from zebfast.arena.players.specs import search_deals_per_chunk
from zebfast.selfplay.config import SelfPlay

if TYPE_CHECKING:
    from zebfast.selfplay.config import Evaluator

Say = Callable[[str], None]


def match(
    method: Method, evaluator: Evaluator, opponent: Player, *, n_games: int, seed: int, say: Say
) -> dict[str, Any]:
    """The method, making its best plays, against an opponent over the same deals as any other."""
    player = TimedPlayer(SearchPlayer(name=method.name, evaluator=evaluator, options=method.player))
    other = TimedPlayer(opponent)

    def progress(at: MatchProgress) -> None:
        say(f"{at.done:,} of {at.total:,} games, {100 * at.wins / at.done:.1f} % won")

    result = play_match(
        player,
        other,
        n_games=n_games,
        seed=seed,
        deals_per_chunk=search_deals_per_chunk(method.search.n_simulations),
        progress=progress,
    )
    return {
        "opponent": opponent.name,
        "games": result.games,
        "won": interval(result.win_rate, result.win_rate_low, result.win_rate_high),
        "margin": {"mean": round(result.mean_margin, 4), "se": round(result.margin_se, 4)},
        "seconds_a_game": round(player.seconds / result.games, 5),
        "opponent_seconds_a_game": round(other.seconds / result.games, 5),
    }


def selfplay(method: Method, evaluator: Evaluator, *, n_games: int, seed: int) -> dict[str, Any]:
    """What a game of self-play costs with every option of the method, caches included."""
    at_once = min(TREES, n_games)
    play = SelfPlay(evaluator, config=method.selfplay(at_once), seed=seed)
    play.play(at_once)  # until as many games end as begin
    began = time.process_time()
    _, stats = play.play(n_games)
    seconds = time.process_time() - began
    return {
        "games": stats.finished,
        "seconds_a_game": round(seconds / stats.finished, 5),
        **{
            name: round(getattr(stats, name) / stats.finished, 2)
            for name in ("searches", "cache_hits", *COUNTED)
        },
    }
