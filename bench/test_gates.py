"""What must not get worse: exact counts of work, sizes, and ratios inside one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from bench.gate import assert_ratio, interleaved_ratio
from zebfast.cli import stages

Pinned = Callable[[str, Mapping[str, int]], None]


def test_search_does_the_same_work(pinned: Pinned) -> None:
    """Descents, evaluations and subtree reuse of fixed games with the constant evaluator."""
    from zebfast.core.observe import uniform_evaluate
    from zebfast.core.options import SearchOptions
    from zebfast.core.records import OBS_DTYPE
    from zebfast.core.selfplay import SelfPlayForest

    forest = SelfPlayForest(64, options=SearchOptions(n_simulations=200), seed=stages.SEED)
    forest.allow(64)
    leaves, evals = np.zeros(64, OBS_DTYPE), np.zeros((64, 8), np.float32)
    batches = 0
    while n := forest.select(leaves):
        uniform_evaluate(leaves[:n], evals[:n])
        forest.update(evals[:n])
        batches += 1
    assert len(forest.take()) == 64
    pinned("64 games, 200 simulations, constant evaluator", {"batches": batches, **forest.counts()})


def test_memory_and_sizes(pinned: Pinned) -> None:
    from zebfast.core.options import SearchOptions
    from zebfast.core.records import EXAMPLE_DTYPE, GAME_DTYPE, OBS_DTYPE
    from zebfast.core.selfplay import SelfPlayForest

    options = SearchOptions(max_nodes=512)
    sizes = {
        "observation": OBS_DTYPE.itemsize,
        "game": GAME_DTYPE.itemsize,
        "example in memory": EXAMPLE_DTYPE.itemsize,
        "64 trees of 512 nodes": SelfPlayForest(64, options=options, seed=0).nbytes,
    }
    pinned("bytes", sizes)
    assert stages.bytes_per_example() <= 40
    assert sizes["64 trees of 512 nodes"] / (64 * 512) <= 64 * 1.05, "64 bytes a node, and a little"


def test_engine_leaves_the_python_rules_far_behind() -> None:
    """The compiled engine plays 300 games in less time than plain Python plays one."""
    from zebfast.core.engine import random_games
    from zebfast.rules import Position

    deal = [list(range(seat * 7, seat * 7 + 7)) for seat in range(4)]

    def plain() -> None:
        game = Position(deal, 9, 0)
        while not game.over:
            game.play(game.legal()[0])

    assert_ratio(lambda: random_games(300, seed=1), plain, at_most=1.0)


@pytest.mark.parametrize("slower_by", [1, 3])
def test_the_ratio_gate_itself(slower_by: int) -> None:
    """Work repeated three times must measure as about three times the time."""
    data = np.arange(200_000)

    def work() -> None:
        data.sum()

    def repeated() -> None:
        for _ in range(slower_by):
            work()

    ratio = interleaved_ratio(repeated, work, blocks=15)
    assert slower_by / 1.5 < ratio < slower_by * 1.5
