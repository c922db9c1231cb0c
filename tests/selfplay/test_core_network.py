"""Games whose network is asked in C are those whose network is asked a batch at a time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from core_evaluator import CoreEvaluator, OutsideEvaluator, small_network

from zebfast.core.labelling import LabelledGames
from zebfast.core.options import SearchOptions, TeachingOptions
from zebfast.core.records import OBS_DTYPE
from zebfast.selfplay import groups
from zebfast.selfplay.config import SelfPlay, SelfPlayConfig
from zebfast.selfplay.groups import GroupedGames
from zebfast.selfplay.stats import SelfPlayStats
from zebfast.selfplay.teaching import Teaching, TeachingConfig

#: What the clocks say of a call, and not the games.
CLOCKS = ("seconds", "tree_seconds", "evaluator_seconds", "thread_seconds", "thread_cpu_seconds",
          "sampled_seconds", "sampled_tree_seconds", "sampled_evaluator_seconds")  # fmt: skip


def searched(evaluator: OutsideEvaluator, **how: Any) -> GroupedGames:
    search = SearchOptions(n_simulations=12, exact_tricks=2, n_worlds=4)
    return SelfPlay(evaluator, config=SelfPlayConfig(search=search, **how), seed=3)


def taught(evaluator: OutsideEvaluator, **how: Any) -> GroupedGames:
    return Teaching(
        evaluator, config=TeachingConfig(teacher="rollout", label_share=0.5, **how), seed=3
    )


def counted(stats: SelfPlayStats) -> SelfPlayStats:
    return replace(stats, **dict.fromkeys(CLOCKS, 0.0))


@pytest.mark.parametrize("play", [searched, taught])
def test_games_and_counts_are_those_of_single_steps(play: Any) -> None:
    how = {"n_parallel_games": 7, "n_groups": 1}
    inside, outside = CoreEvaluator(small_network()), OutsideEvaluator(small_network())
    played, wanted = play(inside, **how), play(outside, **how)
    for n_games in (1, 9, 4):  # games that are left under way go on in the next call
        games, stats = played.play(n_games)
        same, same_stats = wanted.play(n_games)
        assert games.tobytes() == same.tobytes()
        assert counted(stats) == counted(same_stats)
    assert inside.rows == 0
    assert outside.rows > 100


@pytest.mark.parametrize("play", [searched, taught])
def test_games_do_not_depend_on_how_many_share_a_batch(play: Any) -> None:
    found = set()
    for n_parallel, n_groups in ((1, 1), (5, 2), (40, 3)):
        played = play(
            CoreEvaluator(small_network()), n_parallel_games=n_parallel, n_groups=n_groups
        )
        found.add(played.play(12)[0].tobytes())
    assert len(found) == 1


def test_parts_of_the_time_add_up() -> None:
    played = searched(CoreEvaluator(small_network()), n_parallel_games=8, n_groups=1)
    for _ in range(3):
        stats = played.play(8)[1]
        parts = stats.tree_cpu_seconds, stats.evaluator_cpu_seconds
        assert min(*parts, stats.tree_seconds, stats.evaluator_seconds) > 0
        assert sum(parts) <= stats.thread_cpu_seconds + 1e-9
        assert stats.tree_seconds + stats.evaluator_seconds <= stats.thread_seconds + 1e-9


@pytest.mark.parametrize("play", [searched, taught])
def test_an_answer_that_is_no_number_is_told_by_the_evaluator(play: Any) -> None:
    played = play(CoreEvaluator(small_network(scale=1e38)), n_parallel_games=3, n_groups=1)
    with pytest.raises(FloatingPointError, match="told from outside"):
        played.play(3)


def test_a_stop_is_heard_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every slice somebody asks, however many games are still to be played."""
    monkeypatch.setattr(groups, "SLICE_SECONDS", 0.0)
    asked = iter([False, False, False, True])
    played = taught(CoreEvaluator(small_network()), n_parallel_games=4, n_groups=1)
    games, stats = played.play(10**6, should_stop=lambda: next(asked))
    assert (len(games), stats.batches) == (0, 3)


def test_new_weights_are_asked_by_the_next_call() -> None:
    evaluator = CoreEvaluator(small_network(seed=1))
    played = searched(evaluator, n_parallel_games=2, n_groups=1)
    played.play(2, lookahead=False)
    evaluator.network, evaluator.version = small_network(seed=2), 2
    found = played.play(2, lookahead=False)[0]
    fresh = SelfPlay(
        CoreEvaluator(small_network(seed=2)),
        config=played.config,
        seed=3,
        first_game=2,  # type: ignore[attr-defined]
    )
    assert found.tobytes() == fresh.play(2, lookahead=False)[0].tobytes()


def test_impossible_calls() -> None:
    games = LabelledGames(2, options=TeachingOptions(teacher="rollout"), seed=1)
    games.allow(2)
    network, obs = small_network(), np.zeros(games.room, OBS_DTYPE)
    evals = np.zeros((games.room, 8), np.float32)
    how: Any = {"seconds": 0.0, "until": 2}
    with pytest.raises(ValueError, match="obs must hold"):
        games.run(network, obs[1:], evals, **how)
    with pytest.raises(ValueError, match="evals must have shape"):
        games.run(network, obs, evals[1:], **how)
    with pytest.raises(TypeError):
        games.run(None, obs, evals, **how)  # type: ignore[arg-type]
    began = time.perf_counter()
    more, spent = games.run(network, obs, evals, **how)
    assert more
    assert spent["batches"] == 1
    assert 0 < spent["trees"] + spent["evaluator"] <= time.perf_counter() - began
    games.select(obs)
    with pytest.raises(ValueError, match="still wait for their evaluations"):
        games.run(network, obs, evals, **how)
