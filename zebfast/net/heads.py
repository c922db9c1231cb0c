"""All that a network says of positions, head by head, in fp32 on the CPU.

Searches need less, and faster: see `evaluator`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zebfast.core.masks import domino_bits
from zebfast.core.network import Network
from zebfast.net.devices import require_torch
from zebfast.net.networks import AnyConfig, Arrays
from zebfast.net.output import N_OTHER_SEATS, N_SLOTS, Heads
from zebfast.net.v2 import V2Config
from zebfast.rules import HALF_POINTS, N_DOMINOES

#: Heads for OBS_DTYPE [B]. ValueError for records of no seat to play.
Ask: TypeAlias = Callable[[NDArray[Any]], Heads]


def open_heads(config: AnyConfig, weights: Arrays) -> Ask:
    """What asks a network of these checked weights. NeedsTorch for v1 where torch is missing."""
    if isinstance(config, V2Config):
        net = Network(config.width, config.n_blocks, config.belief_head, weights)
        return lambda obs: _of_scores(obs, *net.scores(obs))
    require_torch(f"{config.tokenizer} networks need torch")
    from zebfast.net.torch.modules import network, say

    module = network(config, weights).eval()
    return lambda obs: say(module, obs)


def _of_scores(
    obs: NDArray[Any], scores: NDArray[np.float32], belief: NDArray[np.float32] | None
) -> Heads:
    """The heads in float32[B, 71] scores of dominoes and points, and float32[B, 84] of seats."""
    dominoes, points = scores[:, :N_DOMINOES], scores[:, N_DOMINOES:]
    slots = np.nonzero(domino_bits(obs["hand"]))[1].reshape(len(obs), N_SLOTS)
    chances = softmax(points)
    value = chances[:, HALF_POINTS + 1 :].sum(axis=1) - chances[:, :HALF_POINTS].sum(axis=1)
    return Heads(
        np.take_along_axis(dominoes, slots, axis=1),
        value.astype(np.float32),
        None if belief is None else belief.reshape(len(obs), N_DOMINOES, N_OTHER_SEATS),
        points,
    )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Chances over the last axis, worked out in float64."""
    wide = logits.astype(np.float64)
    shares = np.exp(wide - wide.max(axis=-1, keepdims=True))
    chances: NDArray[np.float64] = shares / shares.sum(axis=-1, keepdims=True)
    return chances
