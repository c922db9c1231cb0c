"""Games that a teacher labels: labels a second with a network, and counts that stay the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from bench import work
from zebfast.cli import stages
from zebfast.cli.stages import Done, Stage, Work
from zebfast.selfplay.teaching import GAMES_PER_GROUP, Teaching, TeachingConfig
from zebfast.system.machine import usable_cores

GAMES = {"exact": 4, "rollout": 2}  # in a round, for each of those side by side


def labels(*, teacher: str, n_groups: int, n_parallel_games: int) -> Work:
    """Labelled decisions of games with a fresh v2 network, a teacher and all that goes with it.

    An untrained network's favourites are as costly as any; its games have as many decisions.
    """
    config = TeachingConfig(teacher=teacher, n_groups=n_groups, n_parallel_games=n_parallel_games)
    teaching = Teaching(stages.network(tokenizer="v2"), config=config, seed=stages.SEED)

    def play() -> Done:
        _, stats = teaching.play(GAMES[teacher] * n_parallel_games)
        return Done(
            stats.labels,
            {
                "games": stats.finished,
                "evaluations_per_label": stats.evaluations / stats.labels,
                "evaluations_per_batch": stats.evaluations / stats.batches,
                "network_share": stats.evaluator_seconds / stats.thread_seconds,
                "engine_share": stats.tree_seconds / stats.thread_seconds,
            },
        )

    return play


@pytest.mark.benchmark(group="teaching")
@pytest.mark.parametrize("teacher", list(GAMES))
@pytest.mark.parametrize("cores", ["one core", "all cores"])
def test_labels(run_stage: Callable[..., None], benchmark: Any, teacher: str, cores: str) -> None:
    n_groups = 1 if cores == "one core" else max(2, usable_cores())
    n_games = 4 * n_groups if benchmark.disabled else GAMES_PER_GROUP * n_groups
    key = f"labels_{teacher}_{cores.replace(' ', '_')}"
    what = f"decisions labelled, {teacher}, medium v2 network, {cores}"
    prepare = partial(labels, teacher=teacher, n_groups=n_groups, n_parallel_games=n_games)
    run_stage(Stage(key, "labels/s", what, prepare), rounds=1)


@pytest.mark.parametrize("teacher", list(GAMES))
def test_a_teacher_does_the_same_work(
    pinned: Callable[[str, Mapping[str, int]], None], teacher: str
) -> None:
    """Evaluations, rollouts and questions to the solver of fixed games."""
    config = TeachingConfig(teacher=teacher, n_groups=1, n_parallel_games=16)
    teaching = Teaching(work.Constant(), config=config, seed=stages.SEED)
    _, stats = teaching.play(16, lookahead=False)
    counts = {
        name: getattr(stats, name)
        for name in ("labels", "rollouts", "evaluations", "solver_calls", "batches")
    }
    pinned(f"16 games, {teacher} teacher, constant evaluator", counts)
