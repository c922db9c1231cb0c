"""The figures of docs/performance.md, one test each. `pytest bench/ --benchmark-compare`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.conftest import figure
from bench.one_tree import OwnTree
from bench.pieces import pieces
from zebfast.cli import stages
from zebfast.cli.bench import STAGES
from zebfast.cli.stages import Stage

BY_KEY = {stage.key: stage for stage in STAGES}


@pytest.mark.benchmark(group="stages")
@pytest.mark.parametrize("key", list(BY_KEY))
def test_stage(run_stage: Callable[..., None], key: str) -> None:
    """The stages of `zebfast bench`; self-play runs for a fixed time, so once."""
    whole = key.startswith("selfplay")
    run_stage(BY_KEY[key], rounds=1 if whole else 20, warmup_rounds=0 if whole else 1)


@pytest.mark.benchmark(group="network")
@pytest.mark.parametrize("tokenizer", ["v1", "v2"])
@pytest.mark.parametrize("batch", [64, 512])
def test_evaluations(run_stage: Callable[..., None], batch: int, tokenizer: str) -> None:
    kind = "" if tokenizer == "v1" else f"{tokenizer}_"
    what = f"medium {tokenizer} network, batches of {batch}, one core or the GPU"
    prepare = partial(stages.evaluations, batch, tokenizer)
    run_stage(Stage(f"evaluations_{kind}{batch}", "evaluations/s", what, prepare), rounds=20)


@pytest.mark.benchmark(group="pieces")
@pytest.mark.parametrize("key", list(pieces()))
def test_piece(benchmark: Any, key: str, tmp_path: Path) -> None:
    """The work that `make gate` compares: for --benchmark-compare, and the same every time."""
    tree, other = (OwnTree(tmp_path / name) for name in ("a", "b"))
    assert tree.prepare(key) == other.prepare(key)
    benchmark.pedantic(tree.run, args=(key, 1), rounds=10, warmup_rounds=1)


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
