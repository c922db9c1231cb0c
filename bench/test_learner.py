"""Learner: optimizer steps a second, and how fast example files are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.conftest import attach, figure
from bench.work import METADATA, N_GAMES, trainer
from zebfast.cli import stages
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import write_native
from zebfast.selfplay.examples_pt import write_pt

WRITERS: dict[str, Callable[..., None]] = {"safetensors": write_native, "pt": write_pt}


@pytest.mark.benchmark(group="learner")
@pytest.mark.parametrize(
    ("size", "steps", "batch_size"),
    [("small", 20, 64), ("medium", 5, 64), ("medium", 2, 256), ("medium", 1, 1024)],
)
def test_training_steps(benchmark: Any, size: str, steps: int, batch_size: int) -> None:
    work, sources = trainer(size, batch_size)
    train = partial(work.train, sources, n_steps=steps, should_stop=lambda: False)
    benchmark.pedantic(train, rounds=3, warmup_rounds=1)
    attach(
        benchmark,
        key=f"learner_steps_{size}" + ("" if batch_size == 64 else f"_{batch_size}"),
        what=f"learner, {size} network, batches of {work.batch_size}, one thread",
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


@pytest.mark.benchmark(group="files")
def test_training_does_not_wait_for_files(benchmark: Any, tmp_path: Path) -> None:
    """Share of the time spent training while 10 files of the documented layout come every cycle."""
    from zebfast.exchange import Namespace, Place, StoreOptions
    from zebfast.learner.config import LearnerConfig
    from zebfast.learner.loop import learn
    from zebfast.learner.metrics import read_metrics
    from zebfast.learner.recipe import led_recipe
    from zebfast.net import checkpoint
    from zebfast.system.events import CycleDone, Event, subscribed

    waiting, examples = tmp_path / "waiting", tmp_path / "examples"
    waiting.mkdir()
    examples.mkdir()
    games, n_cycles, n_files = stages.some_games(N_GAMES), 5, 10
    for number in range(n_cycles * n_files):
        write_pt(waiting / f"bench_{number}_00.pt", games, METADATA)
    net_config, weights = stages.fresh_network("medium")
    checkpoint.save(checkpoint.Checkpoint(config=net_config, weights=weights), tmp_path / "init.pt")
    config = LearnerConfig(
        weights=Place.directory(tmp_path),
        examples=Place.directory(examples),
        stores=StoreOptions(state_dir=tmp_path),
        namespace=Namespace(),
        checkpoint=tmp_path / "init.pt",
        recipe=led_recipe(training_steps_per_cycle=40),
        eval_every=0,
        max_cycles=n_cycles,
        poll_seconds=0.05,
        replay_cache_dir=tmp_path / "cache",
    )
    pending = sorted(waiting.iterdir())

    def deliver(event: Event) -> None:
        if isinstance(event, CycleDone):
            for path in pending[:n_files]:
                path.rename(examples / path.name)
            del pending[:n_files]

    deliver(CycleDone(cycle=0, metrics={}))
    with subscribed(deliver):
        benchmark.pedantic(learn, args=(config,), rounds=1)
    rows = [row for row in read_metrics(tmp_path / "metrics.jsonl") if row["step"] > 1]
    share = sum(row["train/share_of_time"] for row in rows) / len(rows)
    read = sum(row["ingest/selfplay_examples"] for row in rows)
    assert read >= (n_cycles - 2) * n_files * N_GAMES * 28
    assert share > 0.8, "training waits for something"
    figure(
        benchmark,
        key="learner_share_of_time",
        what=f"learner: share of the time spent training, {n_files} .pt files a cycle coming in",
        unit="of 1",
        value=share,
        detail={"examples_read_per_s": rows[-1]["ingest/selfplay_examples_per_s"]},
    )
