"""`make gate` tried on the real stages: 15 % more time in one is caught, its own time is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.compare import compare_trees
from bench.one_tree import OwnTree
from bench.pieces import pieces
from bench.turns import Rule

RULE = Rule(
    attempts=2, blocks=7, slice_seconds=0.01
)  # less than the gate's own, so that all take a minute


@pytest.mark.parametrize("key", list(pieces()))
def test_a_slowed_stage_is_caught(request: pytest.FixtureRequest, key: str, tmp_path: Path) -> None:
    """15 % more of its own time is slower, and the stage as it is, is not."""
    if request.config.getoption("benchmark_disable"):
        pytest.skip("nothing is timed under --benchmark-disable")
    states = {}
    for slow in (0.15, 0.0):

        @contextmanager
        def trees(share: float = slow) -> Iterator[tuple[OwnTree, OwnTree]]:
            yield OwnTree(tmp_path / "a", slow=share), OwnTree(tmp_path / "b")

        [result] = compare_trees(trees, [key], RULE)
        states[slow] = result.state
    assert states == {0.15: "slower", 0.0: "ok"}, result
