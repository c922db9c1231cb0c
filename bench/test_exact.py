"""Solver, world sampler and E[Q] player: what each question costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from bench.conftest import attach, figure
from bench.gate import interleaved_ratio
from zebfast.arena.match import play_match
from zebfast.arena.players.build import build_player
from zebfast.arena.players.specs import parse_spec
from zebfast.cli import exact_stages, stages
from zebfast.cli.stages import Stage
from zebfast.core.engine import GameBatch
from zebfast.core.solve import Solver
from zebfast.core.solver_pool import SolverPool
from zebfast.system.machine import usable_cores

POSITIONS = {7: 300, 6: 600, 5: 3000, 4: 10_000}  # by tricks left
QUESTIONS = ("points", "one threshold", "all plays")


def asker(solver: Solver, question: str, tricks: int) -> Callable[[], object]:
    """A call that puts one question about all positions with so many tricks left."""
    positions, wins = exact_stages.solver_work(tricks, POSITIONS[tricks])
    if question == "points":
        return lambda: solver.values(positions)
    if question == "one threshold":
        return lambda: solver.at_least(positions, wins)
    return lambda: solver.play_values(positions)


@pytest.mark.benchmark(group="solver")
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("tricks", list(POSITIONS))
def test_solver(benchmark: Any, tricks: int, question: str) -> None:
    """Mean time a position, the median of five rounds; one core."""
    solver, n = Solver(), POSITIONS[tricks]
    ask = asker(solver, question, tricks)
    ask()
    nodes = solver.nodes / n
    benchmark.pedantic(ask, rounds=5, warmup_rounds=1)
    if benchmark.stats is None:
        return
    figure(
        benchmark,
        key=f"solve_{tricks}_{question.replace(' ', '_')}",
        what=f"solver, {tricks} tricks left, {question}, one core",
        unit="microseconds",
        value=benchmark.stats.stats.median / n * 1e6,
        detail={"nodes": nodes},
    )


def random_decisions(n_games: int) -> np.ndarray:
    """POSITION_DTYPE: every position with a choice of so many random games."""
    found, batch = [], GameBatch.deal(n_games, seed=stages.SEED)
    while not batch.over.all():
        legal = batch.legal()
        found.append(batch.positions(np.flatnonzero(legal & (legal - np.uint32(1)))))
        batch.play_random(seed=stages.SEED)
    return np.concatenate(found)


@pytest.mark.benchmark(group="solver")
def test_all_plays_against_one_value(benchmark: Any) -> None:
    """What the values of all plays cost, over all decisions of whole games."""
    positions, solver = random_decisions(5 if benchmark.disabled else 100), Solver()
    plays, values = partial(solver.play_values, positions), partial(solver.values, positions)
    ratio = interleaved_ratio(plays, values, blocks=1 if benchmark.disabled else 3)
    benchmark.pedantic(plays, rounds=1)
    figure(
        benchmark,
        key="ratio_all_plays",
        what="solver, values of all plays against one value, all decisions of random games",
        unit="times",
        value=ratio,
    )


@pytest.mark.benchmark(group="worlds")
@pytest.mark.parametrize(("n_plays", "when"), [(0, "at the first play"), (9, "with voids shown")])
def test_worlds(run_stage: Callable[..., None], n_plays: int, when: str) -> None:
    what = f"worlds drawn {when}, one core"
    prepare = partial(exact_stages.worlds, n_plays)
    run_stage(Stage(f"worlds_{n_plays}", "worlds/s", what, prepare), rounds=20)


@pytest.mark.benchmark(group="E[Q]")
@pytest.mark.parametrize("opponent", ["random", "itself"])
@pytest.mark.parametrize(("n_worlds", "n_games"), [(10, 200), (100, 32)])
def test_eq_games(benchmark: Any, n_worlds: int, n_games: int, opponent: str) -> None:
    """Whole games, exact points, every core; against itself all four seats think."""
    spec, n_games = f"eq:n={n_worlds}", 2 if benchmark.disabled else n_games
    with SolverPool(usable_cores()) as pool:
        player, other = (
            build_player(parse_spec(text), pool=pool)
            for text in (spec, spec if opponent == "itself" else opponent)
        )
        play = partial(play_match, player, other, n_games=n_games, seed=stages.SEED)
        benchmark.pedantic(play, rounds=3, warmup_rounds=1)
    attach(
        benchmark,
        key=f"eq_{n_worlds}_{opponent}",
        what=f"games of E[Q] with {n_worlds} worlds against {opponent}, all cores",
        unit="games/s",
        units=n_games,
    )
