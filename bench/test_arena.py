"""Matches between plain players: games a second, both players and the engine together."""

from __future__ import annotations

from typing import Any

import pytest

from bench.conftest import attach
from zebfast.arena.match import play_match
from zebfast.arena.players import plain_player

N_GAMES = 20_000


@pytest.mark.benchmark(group="arena")
@pytest.mark.parametrize("opponent", ["random", "heuristic"])
def test_match(benchmark: Any, opponent: str) -> None:
    """Random against `opponent`, every deal both ways."""
    players = plain_player("random"), plain_player(opponent)
    result = benchmark.pedantic(
        lambda: play_match(*players, n_games=N_GAMES, seed=1), rounds=3, warmup_rounds=1
    )
    assert result.games == N_GAMES
    attach(
        benchmark,
        key=f"match_random_{opponent}",
        what=f"match of random against {opponent}, one core",
        unit="games/s",
        units=N_GAMES,
    )
