"""Learner: optimizer steps a second, and how fast example files are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.conftest import attach
from bench.work import METADATA, N_GAMES, trainer
from zebfast.cli import stages
from zebfast.selfplay.examples import read_examples, write_native
from zebfast.selfplay.examples_pt import write_pt

WRITERS: dict[str, Callable[..., None]] = {"safetensors": write_native, "pt": write_pt}


@pytest.mark.benchmark(group="learner")
@pytest.mark.parametrize(("size", "steps"), [("small", 20), ("medium", 5)])
def test_training_steps(benchmark: Any, size: str, steps: int) -> None:
    work, replay = trainer(size)
    train = partial(work.train, replay, n_steps=steps, should_stop=lambda: False)
    benchmark.pedantic(train, rounds=3, warmup_rounds=1)
    attach(
        benchmark,
        key=f"learner_steps_{size}",
        what=f"learner, {size} network, batches of {work.config.batch_size}, one thread",
        unit="steps/s",
        units=steps,
    )


@pytest.mark.benchmark(group="files")
@pytest.mark.parametrize("suffix", list(WRITERS))
def test_ingest(benchmark: Any, tmp_path: Path, suffix: str) -> None:
    """Read, check and convert one example file."""
    path = tmp_path / f"bench_0_00.{suffix}"
    WRITERS[suffix](path, stages.some_games(N_GAMES), METADATA)
    found = benchmark.pedantic(read_examples, args=(path,), rounds=5, warmup_rounds=1)
    n_examples = len(found.records)
    attach(
        benchmark,
        key=f"ingest_{suffix}",
        what=f"reading and checking a .{suffix} example file of {N_GAMES} games",
        unit="examples/s",
        units=n_examples,
        detail={"bytes_per_example": path.stat().st_size / n_examples},
    )
