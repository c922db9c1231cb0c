"""The belief head as players ask it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from world_games import batch_after

from zebfast.arena.players.world_weights import BeliefHead
from zebfast.net import checkpoint
from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.v2 import V2Net
from zebfast.net.v2 import V2Config

TINY = V2Config(width=32, n_blocks=1, belief_head=True)


def test_chances_are_the_softmax_of_the_head() -> None:
    found = checkpoint.fresh(TINY, seed=3)
    observations = batch_after(5, 9, seed=2).observe()
    net = found.network().eval()
    assert isinstance(net, V2Net)
    with torch.inference_mode():
        output = net.run(net.prepare(record_bytes(observations)))
    assert output.belief is not None
    logits = output.belief.double().numpy()
    wanted = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(BeliefHead(found)(observations), wanted, rtol=1e-6)


def test_a_network_without_the_head() -> None:
    with pytest.raises(ValueError, match="needs a network with a belief head"):
        BeliefHead(checkpoint.fresh(replace(TINY, belief_head=False), seed=3))
