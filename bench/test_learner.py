"""Learner: optimizer steps a second, ingest rate, bytes of an example on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.conftest import attach
from zebfast.core.engine import GameBatch
from zebfast.core.observe import games_to_examples
from zebfast.core.records import GAME_DTYPE
from zebfast.exchange import Namespace
from zebfast.learner.config import LearnerConfig
from zebfast.learner.replay import ReplayBuffer
from zebfast.learner.trainer import Trainer
from zebfast.net.v1 import SIZES, V1Net
from zebfast.selfplay.examples import read_examples, write_native
from zebfast.selfplay.examples_pt import write_pt

N_GAMES = 256
METADATA = {
    "worker_id": "bench",
    "model_step": 0,
    "n_games": N_GAMES,
    "timestamp": 0,
    "source": "selfplay-mcts",
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def games() -> np.ndarray:
    """Random legal play with equal targets on the legal slots."""
    batch = GameBatch.deal(N_GAMES, seed=0)
    games = np.zeros(N_GAMES, GAME_DTYPE)
    games["hands"], games["decl"], games["leader"] = batch.hands, batch.decl, batch.leader
    for ply in range(28):
        games["policy"][:, ply] = (batch.observe()["legal"][:, None] >> np.arange(7)) & 1
        batch.play_random(seed=0, stream=1)
    games["plays"] = batch.history
    return games


@pytest.mark.parametrize("size", ["small", "medium"])
def test_training_steps(benchmark: Any, games: np.ndarray, size: str) -> None:
    """Optimizer steps on batches of 64, one thread; the rate is steps_per_round / time."""
    torch.manual_seed(0)
    config = LearnerConfig(weights_dir=Path(), examples_dir=Path(), namespace=Namespace())
    trainer = Trainer(V1Net(SIZES[size]), config)
    replay = ReplayBuffer(28 * N_GAMES)
    replay.add(games_to_examples(games))
    steps = {"small": 20, "medium": 5}[size]

    def train() -> None:
        trainer.train(replay, n_steps=steps, should_stop=lambda: False)

    benchmark.pedantic(train, rounds=3, warmup_rounds=1)
    attach(
        benchmark,
        key=f"learner_steps_{size}",
        what=f"learner, {size} network, batches of {config.batch_size}, one thread",
        unit="steps/s",
        units=steps,
    )


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_ingest(benchmark: Any, games: np.ndarray, tmp_path: Path, suffix: str) -> None:
    """Read, check and convert one example file."""
    path = tmp_path / f"bench_0_00.{suffix}"
    (write_native if suffix == "safetensors" else write_pt)(path, games, METADATA)
    n_examples = len(benchmark(read_examples, path).records)
    bytes_per_example = path.stat().st_size / n_examples
    attach(
        benchmark,
        key=f"ingest_{suffix}",
        what=f"reading and checking a .{suffix} example file of {N_GAMES} games",
        unit="examples/s",
        units=n_examples,
        detail={"bytes_per_example": bytes_per_example},
    )
    if suffix == "safetensors":
        assert bytes_per_example <= 40
