"""What new weights cost a worker, attention, half precision. Evaluations are in test_stages.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.conftest import attach
from zebfast.cli import stages
from zebfast.net.evaluator import Evaluator


@pytest.mark.benchmark(group="network")
def test_loading_weights(benchmark: Any) -> None:
    config, weights = stages.fresh_network()
    evaluator = Evaluator(config, weights)
    benchmark.pedantic(evaluator.load, args=(weights,), rounds=3, iterations=1)
    attach(
        benchmark,
        key="weight_loads",
        what=f"swapping {stages.SIZE} weights into the evaluator",
        unit="swaps/s",
        units=1,
    )


@pytest.mark.benchmark(group="network")
@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "fp32"), (np.uint16, "bf16")])
def test_attention(benchmark: Any, dtype: Any, name: str) -> None:
    from zebfast.core.attention import attention

    lengths = np.full(256, 13)
    random = np.random.default_rng(1).normal(size=(lengths.sum(), 3 * 128)).astype(np.float32)
    qkv = random if name == "fp32" else (random.view(np.uint32) >> 16).astype(dtype)
    out = np.empty((len(qkv), 128), dtype)
    benchmark(lambda: attention(qkv, lengths, out, n_heads=4))
    attach(
        benchmark,
        key=f"attention_{name}",
        what=f"attention of one medium layer, 13 tokens, {name}, one core",
        unit="observations/s",
        units=len(lengths),
    )


@pytest.mark.benchmark(group="network")
def test_evaluations_in_the_fastest_precision(benchmark: Any) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    evaluator = Evaluator(*stages.fresh_network(), dtype="auto")
    observations = stages.mixed_observations(256)
    out = np.zeros((256, 8), np.float32)
    benchmark(lambda: evaluator.evaluate(observations, out))
    torch.set_num_threads(threads)
    attach(
        benchmark,
        key="evaluations_auto_256",
        what=f"medium network, batches of 256, --dtype auto ({evaluator.describe()}), one core",
        unit="evaluations/s",
        units=256,
    )
