"""Networks side by side: what several think, as one network of their widths together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from zebfast.net import checkpoint as checkpoints
from zebfast.net import shipped
from zebfast.net.checkpoint import Checkpoint, widen
from zebfast.net.features import N_HAND_BITS
from zebfast.net.networks import sized


def answers(network: Checkpoint) -> list[Tensor]:
    """Logits of policy, points and belief for 64 seats that saw about as much as real ones do."""
    generator = torch.Generator().manual_seed(5)
    features = (torch.rand(64, N_HAND_BITS, generator=generator) < 0.1).float()
    slots = torch.randint(28, (64, 7), generator=generator)
    with torch.no_grad():
        output = network.network().eval()(features, slots, torch.tensor([[22, 20]]))
    assert output.belief is not None
    assert output.points is not None
    return [output.policy, output.points, output.belief.flatten(1)]


def perturbed(network: Checkpoint, seed: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(seed)
    return replace(
        network,
        weights={
            name: weight * (1 + 0.1 * torch.randn(weight.shape, generator=generator)).numpy()
            for name, weight in network.weights.items()
        },
    )


@pytest.fixture(scope="module")
def trained() -> Checkpoint:
    return checkpoints.load(shipped.PATH)


def test_a_network_beside_itself_thinks_the_same(trained: Checkpoint) -> None:
    wide = widen([trained, trained, trained])
    assert wide.config == replace(trained.config, width=3 * trained.config.width)
    for one, other in zip(answers(trained), answers(wide), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)


def test_different_ones_think_nearly_the_mean_of_what_they_think(trained: Checkpoint) -> None:
    one, other = perturbed(trained, 1), perturbed(trained, 2)
    for first, second, wide in zip(
        answers(one), answers(other), answers(widen([one, other])), strict=True
    ):
        apart = (first - second).square().mean()
        from_mean = (wide - (first + second) / 2).square().mean()
        assert apart > 0
        assert from_mean < apart / 10


def test_what_it_is_made_of_is_said(trained: Checkpoint) -> None:
    wide = widen([trained, replace(trained, provenance={"seed": 9})])
    assert (wide.epoch, wide.total_games) == (0, 0)
    assert [parent.get("seed") for parent in wide.provenance["side_by_side"]] == [
        trained.provenance.get("seed"), 9,
    ]  # fmt: skip


def test_what_cannot_be_put_side_by_side(trained: Checkpoint, small: Checkpoint) -> None:
    with pytest.raises(ValueError, match="expected two or more"):
        widen([trained])
    with pytest.raises(ValueError, match="must be v2 and of one shape"):
        widen([small, small])
    other = checkpoints.fresh(sized("v2", "small", belief_head=True), seed=1)
    with pytest.raises(ValueError, match="must be v2 and of one shape"):
        widen([trained, other])
