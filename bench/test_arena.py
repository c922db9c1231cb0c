"""Matches between plain players and games in rollouts (lanes): games a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.conftest import attach
from bench.pieces_core import Constant
from zebfast.arena.match import play_match
from zebfast.arena.players.base import plain_player
from zebfast.core.engine import GameBatch
from zebfast.core.records import OBS_DTYPE
from zebfast.core.rollouts import RolloutGames

N_GAMES = 20_000
N_GAMES_AT_ONCE = 8192


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


@pytest.mark.benchmark(group="arena")
def test_lanes(benchmark: Any) -> None:
    """Whole games side by side with the constant evaluator: what rollouts cost but the network."""
    games = GameBatch.deal(N_GAMES_AT_ONCE, seed=1)
    observations = np.empty(N_GAMES_AT_ONCE, OBS_DTYPE)
    evals = np.empty((N_GAMES_AT_ONCE, 8), np.float32)

    def work() -> GameBatch:
        rollouts, evaluator = RolloutGames(games), Constant()
        while n := rollouts.advance(observations):
            evaluator.evaluate(observations[:n], evals[:n])
            rollouts.play_greedy(evals[:n])
        return rollouts.games

    ended = benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    assert ended.over.all()
    attach(
        benchmark,
        key="lanes",
        what="games side by side with the constant evaluator, one core",
        unit="games/s",
        units=N_GAMES_AT_ONCE,
    )
