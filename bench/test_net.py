"""What new weights cost a worker. Evaluations a second are in test_stages.py."""

from __future__ import annotations

from typing import Any

import pytest

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
