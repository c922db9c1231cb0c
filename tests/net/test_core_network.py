"""The network in the core against the torch module, up to the float32 of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from slow_network import random_tensors

from zebfast.core.network import Network, kernels
from zebfast.net import checkpoint
from zebfast.net.cpu import CpuEvaluator
from zebfast.net.shipped import PATH
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.v2 import V2Net
from zebfast.net.v2 import V2Config

HERE = [name for name, precision, supported in kernels() if precision == "fp32" and supported]
SHAPES = [(16, 1, False), (80, 2, True), (128, 2, False), (256, 3, True), (512, 2, True)]


def evaluated(net: Network, obs: NDArray[Any]) -> NDArray[np.float32]:
    evals = np.full((len(obs), 8), np.nan, np.float32)
    net.evaluate(obs, evals)
    return evals


def by_torch(
    config: V2Config, weights: Mapping[str, Any], obs: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Evaluations [B, 8] and belief [B, 84] by the module itself."""
    net = V2Net(config)
    net.load_state_dict({name: torch.as_tensor(w) for name, w in weights.items()})
    inputs = net.prepare(record_bytes(obs))
    with torch.inference_mode():
        answer = net.eval().run(inputs)
    logits = answer.policy.masked_fill(~inputs.legal, -torch.inf)
    evals = torch.cat([logits.softmax(1), answer.value.unsqueeze(1)], dim=1).numpy()
    belief = answer.belief
    return evals, None if belief is None else belief.flatten(1).numpy()


@pytest.mark.parametrize("kernel", HERE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_says_what_the_torch_module_says(
    observations: NDArray[Any], shape: tuple[int, int, bool], kernel: str
) -> None:
    config = V2Config(width=shape[0], n_blocks=shape[1], belief_head=shape[2])
    obs, net = observations[:301], Network(*shape, random_tensors(*shape), kernel=kernel)
    want, want_belief = by_torch(config, random_tensors(*shape), obs)
    np.testing.assert_allclose(evaluated(net, obs), want, rtol=0, atol=1e-5)
    belief = net.scores(obs)[1]
    assert (belief is None) == (want_belief is None)
    if belief is not None:
        np.testing.assert_allclose(belief, want_belief, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kernel", HERE)
def test_the_shipped_network(observations: NDArray[Any], kernel: str) -> None:
    held = checkpoint.load(PATH)
    assert isinstance(held.config, V2Config)
    config, weights = held.config, held.weights
    net = Network(config.width, config.n_blocks, config.belief_head, weights, kernel=kernel)
    want, want_belief = by_torch(config, weights, observations)
    np.testing.assert_allclose(evaluated(net, observations), want, rtol=0, atol=1e-5)
    np.testing.assert_allclose(net.scores(observations)[1], want_belief, rtol=0, atol=1e-4)


def test_threads_share_a_batch_and_change_nothing(observations: NDArray[Any]) -> None:
    """Parts of any size; a record of no seat to play is named by its place in the whole batch."""
    held, many = checkpoint.load(PATH), np.resize(observations, 1000)
    assert isinstance(held.config, V2Config)
    evaluator = CpuEvaluator(held.config, held.weights)
    want, found = np.empty((1000, 8), np.float32), np.empty((1000, 8), np.float32)
    evaluator.evaluate(many, want)
    evaluator.use_threads(3)
    for n in (1, 127, 128, 200, 1000):
        evaluator.evaluate(many[:n], found[:n])
        assert found[:n].tobytes() == want[:n].tobytes()
    many[700]["decl"] = 10
    with pytest.raises(ValueError, match="observation 700 "):
        evaluator.evaluate(many, found)
