"""The figures of the README, one test each. `pytest bench/ --benchmark-compare` compares runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bench.conftest import figure
from zebfast.cli import stages
from zebfast.cli.stages import Stage

BY_KEY = {stage.key: stage for stage in stages.STAGES}


@pytest.mark.benchmark(group="core")
def test_random_games(run_stage: Callable[..., None]) -> None:
    run_stage(BY_KEY["random_games"], rounds=20)


@pytest.mark.benchmark(group="core")
def test_simulations(run_stage: Callable[..., None]) -> None:
    run_stage(BY_KEY["simulations"], rounds=50)


@pytest.mark.benchmark(group="network")
@pytest.mark.parametrize("batch", [64, 512])
def test_evaluations(run_stage: Callable[..., None], batch: int) -> None:
    what = f"medium network, batches of {batch}, one core or the GPU"
    prepare = partial(stages.evaluations, batch)
    run_stage(Stage(f"evaluations_{batch}", "evaluations/s", what, prepare), rounds=20)


@pytest.mark.benchmark(group="files")
def test_bytes_per_example(benchmark: Any) -> None:
    """A size, kept beside the speeds: the figure is the size, the time is that of writing."""
    size = benchmark.pedantic(stages.bytes_per_example, rounds=1, iterations=1)
    figure(
        benchmark,
        key="bytes_per_example",
        what="compact example file, per example",
        unit="bytes",
        value=size,
    )
