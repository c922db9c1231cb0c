"""What a module says about a batch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Output(NamedTuple):
    """What a network says about a batch of B observations."""

    policy: Tensor  # float[B, 7] logits of all seven slots; the caller masks
    value: Tensor  # float[B] in [-1, 1], for the observer's side
    belief: Tensor | None  # float[B, 28, 3] logits: dealt to left, partner, right
    points: Tensor | None = None  # float[B, 43] logits: final points of the observer's side


def n_parameters(net: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in net.parameters())
