"""What every network shares: the sizes of the game, and what it says about a batch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from zebfast.rules import HAND_SIZE, N_SEATS, TOTAL_POINTS

N_SLOTS = HAND_SIZE  # a slot is a domino of the observer's seven
N_OTHER_SEATS = N_SEATS - 1
N_POINTS = TOTAL_POINTS + 1  # final points of a side: 0..42


class Output(NamedTuple):
    """What a network says about a batch of B observations."""

    policy: Tensor  # float[B, 7] logits of all seven slots; the caller masks
    value: Tensor  # float[B] in [-1, 1], for the observer's side
    belief: Tensor | None  # float[B, 28, 3] logits: dealt to left, partner, right
    points: Tensor | None = None  # float[B, 43] logits: final points of the observer's side


def n_parameters(net: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in net.parameters())
