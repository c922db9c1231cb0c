"""Every workload timed, with its figure where one is recorded; and the gate tried on its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.compare import Rule, compare_trees
from bench.conftest import figure
from bench.one_tree import OwnTree
from zebfast.benchmark.workload import Missing, Workload
from zebfast.benchmark.workloads import WORKLOADS, used_by


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: f"{each.uses[-1]}-{each.key}")
def test_workload(benchmark: Any, workload: Workload, tmp_path: Path) -> None:
    """The median round; a record keeps it as a figure in the workload's own unit."""
    benchmark.group = "record" if "record" in workload.uses else "gate"
    try:
        work = workload.prepare(tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    done = benchmark.pedantic(work, rounds=workload.rounds, warmup_rounds=1)
    if "record" in workload.uses and benchmark.stats is not None:  # None = --benchmark-disable
        figure(
            benchmark,
            key=workload.key,
            what=f"{workload.what} ({done.how})" if done.how else workload.what,
            unit=workload.unit,
            value=workload.figure(done.units, benchmark.stats.stats.median),
            detail=done.detail,
        )


@pytest.mark.parametrize("key", list(used_by("gate")))
def test_a_slowed_workload_is_caught(
    request: pytest.FixtureRequest, key: str, tmp_path: Path
) -> None:
    """15 % more of its own time is slower; as it is, it is not, and does the same every time."""
    if request.config.getoption("benchmark_disable"):
        pytest.skip("nothing is timed under --benchmark-disable")
    rule = Rule(attempts=2, blocks=7, slice_seconds=0.01)  # less than the gate's own: a minute
    states = {}
    for slow in (0.15, 0.0):

        @contextmanager
        def trees(share: float = slow) -> Iterator[tuple[OwnTree, OwnTree]]:
            yield OwnTree(tmp_path / "a", slow=share), OwnTree(tmp_path / "b")

        [result] = compare_trees(trees, [key], rule)
        states[slow] = result.state
    assert states == {0.15: "slower", 0.0: "ok"}, result
