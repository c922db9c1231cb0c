"""The v2 network: its size, what its value means, and the fast form against the module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.net import checkpoint as checkpoints
from zebfast.net.checkpoint import Checkpoint
from zebfast.net.devices import open_evaluator
from zebfast.net.networks import sized
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.features import expand
from zebfast.net.torch.folded import fold
from zebfast.net.torch.output import n_parameters
from zebfast.net.torch.v2 import V2Net, value_of_points
from zebfast.net.torch.v2_fast import FoldedV2
from zebfast.net.v2 import SIZES, V2Config

CPU = torch.device("cpu")
PARAMETERS = {
    "small": (185_671, 196_507),
    "medium": (634_439, 656_027),
    "large": (2_581_575, 2_624_667),
}


def trained_like(config: V2Config) -> Checkpoint:
    """Weights far from those a fresh network has: every norm scales and shifts."""
    generator = torch.Generator().manual_seed(7)
    made = checkpoints.fresh(config, seed=2)
    for name, weight in made.weights.items():
        spread = 0.3 if "norm" in name else 0.05
        weight += spread * torch.randn(weight.shape, generator=generator).numpy()
    return made


def module_answers(net: torch.nn.Module, records: NDArray[Any]) -> NDArray[np.float32]:
    """float32[B, 8] by the plain module."""
    assert isinstance(net, V2Net)
    with torch.inference_mode():
        inputs = expand(record_bytes(records), net.config.n_bits)
        answer = net.eval().run(inputs)
        priors = torch.softmax(answer.policy.masked_fill(~inputs.legal, -torch.inf), dim=1)
        joined: NDArray[np.float32] = torch.cat([priors, answer.value[:, None]], dim=1).numpy()
    return joined


@pytest.mark.parametrize("size", SIZES)
def test_parameter_counts(size: str) -> None:
    plain, with_belief = PARAMETERS[size]
    assert n_parameters(V2Net(SIZES[size])) == plain
    with_head = sized("v2", size, belief_head=True)
    assert isinstance(with_head, V2Config)
    assert n_parameters(V2Net(with_head)) == with_belief


def test_value_is_the_chance_of_more_points_less_that_of_fewer() -> None:
    logits = torch.full((4, 43), -torch.inf)
    logits[0, 22] = logits[1, 20] = logits[2, 21] = 0
    logits[3, [10, 21, 30, 42]] = 0
    half, to_set = torch.tensor([[22, 20]] * 4), torch.tensor([[11, 10]] * 4)
    np.testing.assert_allclose(value_of_points(logits, half), [1, -1, 0, 0.25], atol=1e-7)
    np.testing.assert_allclose(value_of_points(logits, to_set), [1, 1, 1, 0.5], atol=1e-7)


def test_every_parameter_gets_a_gradient(observations: NDArray[Any]) -> None:
    net = V2Net(V2Config(width=32, n_blocks=2, belief_head=True))
    answer = net.run(net.prepare(record_bytes(observations[:64])))
    assert answer.belief is not None
    assert answer.points is not None
    (answer.belief.square().sum() + answer.policy.square().sum() + answer.value.sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("chunk", [1, 100, 1024])
def test_fast_form_gives_the_same_answers(
    observations: NDArray[Any], size: str, chunk: int
) -> None:
    held = trained_like(SIZES[size])
    fast = fold(SIZES[size], held.weights, device=CPU, dtype=torch.float32)
    records = observations[:250]
    want = module_answers(held.network(), records)
    with torch.inference_mode():
        got, tokens, padding = fast.on_cpu(records, chunk=chunk)
        on_device = fast.on_device(record_bytes(records), 0)
    assert (tokens, padding) == (0, 0)
    assert not fast.lengths(records).any()
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    np.testing.assert_allclose(on_device, want, rtol=0, atol=1e-5)


def test_half_precision_stays_close(observations: NDArray[Any]) -> None:
    config = SIZES["small"]
    held = trained_like(config)
    want = module_answers(held.network(), observations)
    for dtype, error in ((torch.float16, 0.01), (torch.bfloat16, 0.05)):
        fast = fold(config, held.weights, device=CPU, dtype=dtype)
        with torch.inference_mode():
            got, _, _ = fast.on_cpu(observations, chunk=256)
            on_device = fast.on_device(record_bytes(observations), 0)
        assert 0 < np.abs(got.numpy() - want).max() < error
        assert 0 < np.abs(on_device.numpy() - want).max() < error


def test_evaluator_takes_a_v2_network(observations: NDArray[Any]) -> None:
    config = SIZES["small"]
    held, other = trained_like(config), checkpoints.fresh(config, seed=9)
    evaluator = open_evaluator(config, held.weights)
    out = np.empty((len(observations), 8), np.float32)
    evaluator.evaluate(observations, out)
    np.testing.assert_allclose(out, module_answers(held.network(), observations), atol=1e-5)
    np.testing.assert_allclose(out[:, :7].sum(axis=1), 1, atol=1e-6)
    evaluator.load(other.weights)
    evaluator.evaluate(observations, out)
    np.testing.assert_allclose(out, module_answers(other.network(), observations), atol=1e-5)
    with pytest.raises(ValueError, match="do not fit the network"):
        evaluator.load(checkpoints.fresh(SIZES["medium"], seed=0).weights)


def test_answers_can_be_traced_without_a_device(observations: NDArray[Any]) -> None:
    """Every shape follows from the batch alone: nothing waits for what a tensor holds."""
    config = SIZES["small"]
    with torch.device("meta"):
        net = V2Net(config)
    with torch.no_grad():
        fast = FoldedV2(net, dtype=torch.float32)
        raw = torch.empty(5, 44, dtype=torch.uint8, device="meta")
        assert fast.on_device(raw, 0).shape == (5, 8)
