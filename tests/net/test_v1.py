"""The module: sizes, names, published weights, recorded answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zebfast.net import checkpoint as checkpoints
from zebfast.net.networks import config_from_dict
from zebfast.net.torch.encoding import expand, record_bytes
from zebfast.net.torch.output import n_parameters
from zebfast.net.torch.v1 import V1Net
from zebfast.net.v1 import SIZES, NetConfig

PARAMETERS = {
    "small": (75_094, 84_714),
    "medium": (556_970, 584_318),
    "large": (3_259_730, 3_347_110),
}


@pytest.mark.parametrize("size", SIZES)
def test_parameter_counts(size: str) -> None:
    plain, with_belief = PARAMETERS[size]
    assert n_parameters(V1Net(SIZES[size])) == plain
    assert n_parameters(V1Net(replace(SIZES[size], belief_head=True))) == with_belief


def test_published_weights_give_the_recorded_answers(
    peer_weights_path: Path,
    v1_observations: dict[str, NDArray[Any]],
    golden_records: NDArray[Any],
) -> None:
    net = checkpoints.load(peer_weights_path).network().eval()
    batch = expand(record_bytes(golden_records))
    with torch.inference_mode():
        answer = net(batch.tokens, batch.mask, batch.hand_indices)
        sliced = net(batch.tokens.int(), batch.mask)
    assert torch.equal(answer.policy, sliced.policy)
    assert len(v1_observations["value"]) == 2136
    np.testing.assert_allclose(answer.policy, v1_observations["policy_logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(answer.value, v1_observations["value"], rtol=0, atol=1e-4)
    assert answer.belief is None


def test_training_mode_without_dropout_is_the_same_function(
    small: checkpoints.Checkpoint, observations: NDArray[Any]
) -> None:
    """The fused inference path and the path gradients go through must agree."""
    net = small.network()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    batch = expand(record_bytes(observations[:64]))
    trained = net(batch.tokens, batch.mask)
    with torch.inference_mode():
        evaluated = net.eval()(batch.tokens, batch.mask)
    torch.testing.assert_close(trained.policy, evaluated.policy, rtol=0, atol=1e-5)
    torch.testing.assert_close(trained.value, evaluated.value, rtol=0, atol=1e-5)


def test_belief_head_has_a_row_per_domino_and_gets_gradients(observations: NDArray[Any]) -> None:
    net = V1Net(replace(SIZES["small"], belief_head=True))
    batch = expand(record_bytes(observations[:8]))
    answer = net(batch.tokens, batch.mask)
    assert answer.belief is not None
    assert answer.belief.shape == (8, 28, 3)
    (answer.belief.sum() + answer.policy.sum() + answer.value.sum()).backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n_heads": 3}, "multiple of 16 and of n_heads 3"),
        ({"embed_dim": True}, "embed_dim must be a whole number"),
        ({"n_layers": 10**9}, "n_layers must be a whole number from 1 to 64"),
        ({"tokenizer": "v2"}, "a v1 network has tokenizer v1, not 'v2'"),
        ({"belief_head": 1}, "belief_head must be true or false"),
        ({"width": 1}, "has unknown 'width'"),
    ],
)
def test_a_config_no_network_can_have_is_one_sentence(
    change: dict[str, object], sentence: str
) -> None:
    fields = {**SIZES["small"].to_dict(), **change}
    read: Any = config_from_dict if fields["tokenizer"] == "v1" else lambda f: NetConfig(**f)
    with pytest.raises(ValueError, match=sentence) as caught:
        read(fields)
    assert "\n" not in str(caught.value)


def test_config_round_trip_and_published_form() -> None:
    published = {"embed_dim": 128, "n_heads": 4, "n_layers": 4, "ff_dim": 256}
    assert config_from_dict(published) == SIZES["medium"]
    config = replace(SIZES["large"], belief_head=True)
    assert config_from_dict(config.to_dict()) == config
    assert "belief_head" not in SIZES["large"].to_dict()
    with pytest.raises(ValueError, match="lacks ff_dim"):
        config_from_dict({k: v for k, v in published.items() if k != "ff_dim"})
