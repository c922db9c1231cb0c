"""The CPU's ragged training pass against the network's own forward pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from zebfast.core.observe import games_to_examples
from zebfast.learner.data.replay import packed_rows
from zebfast.learner.train import ragged
from zebfast.learner.train.losses import compute_losses, unpack_batch
from zebfast.net.torch.v1 import V1Net
from zebfast.net.v1 import NetConfig


@pytest.mark.parametrize("belief_head", [False, True])
def test_outputs_and_gradients_are_those_of_the_network(
    make_games: Callable[..., np.ndarray], belief_head: bool
) -> None:
    torch.manual_seed(0)
    config = NetConfig(embed_dim=32, n_heads=4, n_layers=2, ff_dim=48, belief_head=belief_head)
    net = V1Net(config).eval()  # no dropout
    raw = ragged.length_order(packed_rows(games_to_examples(make_games(2, seed=1))))
    batch = unpack_batch(torch.from_numpy(raw), net.prepare)
    gradients = []
    outputs = []
    for output in (
        net(*batch.inputs[:3]),
        ragged.forward(net, batch.inputs, ragged.Dropout(rate=0, seed=0, step=0)),
    ):
        net.zero_grad()
        compute_losses(output, batch).total.backward()
        gradients.append({n: p.grad.clone() for n, p in net.named_parameters()})
        outputs.append(output)
    slow, fast = outputs
    in_hand = batch.inputs.in_hand
    torch.testing.assert_close(fast.policy[in_hand], slow.policy[in_hand], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast.value, slow.value, atol=1e-5, rtol=1e-5)
    if belief_head:
        torch.testing.assert_close(fast.belief, slow.belief, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_rows_are_only_reordered(make_games: Callable[..., np.ndarray]) -> None:
    rows = packed_rows(games_to_examples(make_games(4, seed=1))).reshape(2, 56, -1)
    ordered = ragged.length_order(rows)
    for before, after in zip(rows, ordered, strict=True):
        assert sorted(map(bytes, before)) == sorted(map(bytes, after))
        assert (np.diff(after[:, 5].astype(int)) >= 0).all()


def test_dropout_has_its_rate_and_keeps_the_mean() -> None:
    x = torch.ones(100_000)
    dropped = ragged.Dropout(rate=0.1, seed=3, step=5)(x)
    assert float((dropped == 0).float().mean()) == pytest.approx(26 / 256, abs=0.004)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.005)
    assert torch.equal(dropped, ragged.Dropout(rate=0.1, seed=3, step=5)(x))
    assert not torch.equal(dropped, ragged.Dropout(rate=0.1, seed=3, step=6)(x))
