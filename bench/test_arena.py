"""Matches between plain players: games a second, both players and the engine together."""

from typing import Any

import pytest

from zebfast.arena.match import play_match
from zebfast.arena.players import plain_player

N_GAMES = 20_000


@pytest.mark.parametrize("opponent", ["random", "heuristic"])
def test_random_match(benchmark: Any, opponent: str) -> None:
    """Random against `opponent`, every deal both ways, one core."""
    players = plain_player("random"), plain_player(opponent)
    result = benchmark.pedantic(
        lambda: play_match(*players, n_games=N_GAMES, seed=1), rounds=5, warmup_rounds=1
    )
    assert result.games == N_GAMES
    benchmark.extra_info["games_per_s"] = N_GAMES / benchmark.stats.stats.min
