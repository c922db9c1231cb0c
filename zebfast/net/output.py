"""What every network shares: the sizes of the game, and what it says about a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from zebfast.rules import HAND_SIZE, N_SEATS, TOTAL_POINTS
from zebfast.system.settings import shown

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


def check_shape(config: Any, limits: Mapping[str, int], tokenizer: str) -> None:
    """What every kind of network asks of its config: sizes from 1 to their limits, its tokenizer.

    ValueError (one sentence) for a field that is something else.
    """
    for name, limit in limits.items():
        size = getattr(config, name)
        if type(size) is not int or not 1 <= size <= limit:
            raise ValueError(f"{name} must be a whole number from 1 to {limit}, not {shown(size)}")
    if config.tokenizer != tokenizer:
        found = config.tokenizer
        raise ValueError(f"a {tokenizer} network has tokenizer {tokenizer}, not {shown(found)}")
    if type(config.belief_head) is not bool:
        raise ValueError(f"belief_head must be true or false, not {shown(config.belief_head)}")
