"""What every network shares: the sizes of the game, and what a config may ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zebfast.rules import HAND_SIZE, N_SEATS, TOTAL_POINTS
from zebfast.system.settings import shown

N_SLOTS = HAND_SIZE  # a slot is a domino of the observer's seven
N_OTHER_SEATS = N_SEATS - 1
N_POINTS = TOTAL_POINTS + 1  # final points of a side: 0..42
#: Columns of an evaluation: the priors of the seven slots, then the value.
WIDTH = N_SLOTS + 1

Shape: TypeAlias = tuple[int, ...]


class Heads(NamedTuple):
    """What a network says about B observations."""

    policy: NDArray[np.float32]  # [B, 7] logits of all seven slots, playable or not
    value: NDArray[np.float32]  # [B] in [-1, 1], for the observer's side
    belief: NDArray[np.float32] | None  # [B, 28, 3] logits: dealt to left, partner, right
    points: NDArray[np.float32] | None  # [B, 43] logits: final points of the observer's side


def linear(name: str, n_in: int, n_out: int) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of a linear map's weight and bias."""
    yield f"{name}.weight", (n_out, n_in)
    yield f"{name}.bias", (n_out,)


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
