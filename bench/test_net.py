"""Evaluations a second of the batched evaluator, and its gain over the plain module."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.core.engine import GameBatch
from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import Checkpoint
from zebfast.net.encoding import expand, record_bytes
from zebfast.net.evaluator import Evaluator
from zebfast.net.v1 import SIZES

BATCH = 256
LEAST_GAIN = 2.0
_BLOCKS = 7


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Figures are per core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def medium() -> Checkpoint:
    return checkpoints.fresh(SIZES["medium"], seed=1)


@pytest.fixture(scope="module")
def leaves() -> NDArray[Any]:
    """OBS_DTYPE[1024] of random games where the seat to play has a choice: what a search asks."""
    games = GameBatch.deal(512, seed=1)
    seen = []
    for _ in range(24):  # the last trick is never a choice
        records = games.observe()
        seen.append(records[records["legal"] & (records["legal"] - 1) != 0])
        games.play_random(seed=1)
    everything = np.concatenate(seen)
    return everything[np.random.default_rng(1).permutation(len(everything))[:1024]]


@pytest.mark.parametrize("batch", [64, 256, 1024])
def test_evaluations_per_second(
    benchmark: Any, medium: Checkpoint, leaves: NDArray[Any], batch: int
) -> None:
    evaluator = Evaluator(medium.config, medium.weights)
    out = np.empty((batch, 8), dtype=np.float32)
    benchmark.pedantic(
        evaluator.evaluate, args=(leaves[:batch], out), rounds=10, warmup_rounds=2, iterations=1
    )
    counts = evaluator.counts
    benchmark.extra_info["evaluations_per_s"] = round(batch / benchmark.stats["median"])
    benchmark.extra_info["tokens_per_evaluation"] = round(counts.tokens / counts.states, 2)
    # A count, so it can be held hard: nothing is computed only to fill a rectangle.
    assert counts.padded_tokens == 0


def test_gain_over_a_plain_forward(
    benchmark: Any, medium: Checkpoint, leaves: NDArray[Any]
) -> None:
    """Both in one run, turn about, so that a busy machine slows both."""
    evaluator, net = Evaluator(medium.config, medium.weights), medium.network().eval()
    records, out = leaves[:BATCH], np.empty((BATCH, 8), dtype=np.float32)

    def plain() -> None:
        with torch.inference_mode():
            batch = expand(record_bytes(records))
            net(batch.tokens, batch.mask, batch.hand_indices)

    def fast() -> None:
        evaluator.evaluate(records, out)

    plain()
    fast()
    gains = [_seconds(plain) / _seconds(fast) for _ in range(_BLOCKS)]
    benchmark.pedantic(fast, rounds=3, iterations=1)
    gain = statistics.median(gains)
    benchmark.extra_info["gain_over_plain_forward"] = round(gain, 2)
    assert gain >= LEAST_GAIN, f"only {gain:.2f} times as fast as a plain forward"


def test_loading_weights(benchmark: Any, medium: Checkpoint) -> None:
    """What a worker pays for every new set of weights."""
    evaluator = Evaluator(medium.config, medium.weights)
    benchmark.pedantic(evaluator.load, args=(medium.weights,), rounds=3, iterations=1)


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
