"""The v2 network in NumPy and float64, as its definition reads; nothing folded, nothing packed.

The slow twin of csrc/net.h, over the bits of csrc/v2_features.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zebfast.core.features import feature_bits
from zebfast.rules import N_DOMINOES

Tensors = Mapping[str, NDArray[np.float32]]
Rows = NDArray[np.float64]


class Answer(NamedTuple):
    """What a network says about B observations."""

    scores: Rows  # [B, 71]
    belief: Rows | None  # [B, 84]
    evals: Rows  # [B, 8]


def random_tensors(
    width: int, n_blocks: int, belief_head: bool, *, seed: int = 0, n_bits: int = 856
) -> dict[str, NDArray[np.float32]]:
    """A network of this shape whose every tensor matters, the norms' scales and shifts too."""
    rng = np.random.default_rng(seed)

    def linear(name: str, n_out: int, n_in: int, spread: float) -> None:
        tensors[f"{name}.weight"] = spread * rng.standard_normal((n_out, n_in))
        tensors[f"{name}.bias"] = 0.1 * rng.standard_normal(n_out)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + 0.2 * rng.standard_normal(width)
        tensors[f"{name}.bias"] = 0.2 * rng.standard_normal(width)

    tensors: dict[str, Any] = {}
    linear("first", width, n_bits, 0.1)
    for b in range(n_blocks):
        norm(f"blocks.{b}.norm")
        linear(f"blocks.{b}.up", width, width, 1.4 / width**0.5)
        linear(f"blocks.{b}.down", width, width, 0.7 / width**0.5)
    norm("norm")
    linear("policy_proj", N_DOMINOES, width, 1 / width**0.5)
    linear("value_head", 43, width, 1 / width**0.5)
    if belief_head:
        linear("belief_proj", 84, width, 1 / width**0.5)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def _linear(x: Rows, tensors: Tensors, name: str) -> Rows:
    return x @ tensors[f"{name}.weight"].astype(np.float64).T + tensors[f"{name}.bias"]


def _norm(x: Rows, tensors: Tensors, name: str) -> Rows:
    scaled = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def _softmax(x: Rows) -> Rows:
    weights = np.exp(x - x.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def value_of(chances: NDArray[np.float64], contract: np.void) -> float:
    """The chance that the observer's side reaches its aim less that of missing it; f8[43] by
    points and CONTRACT_DTYPE[]."""
    if not contract["bid"]:
        return float(chances[22:].sum() - chances[:21].sum())
    make = min(int(contract["bid"]), 42)
    aim = make if contract["bidder"] in (0, 2) else 43 - make
    return float(chances[aim:].sum() - chances[:aim].sum())


def slow_network(tensors: Tensors, obs: NDArray[Any]) -> Answer:
    """Everything that the network says about OBS_DTYPE[B]."""
    x = _linear(
        np.unpackbits(feature_bits(obs), axis=1, bitorder="little")[
            :, : tensors["first.weight"].shape[1]
        ].astype(np.float64),
        tensors,
        "first",
    )
    for b in range(sum(name.endswith(".up.weight") for name in tensors)):
        inner = _linear(_norm(x, tensors, f"blocks.{b}.norm"), tensors, f"blocks.{b}.up")
        x = x + _linear(np.maximum(inner, 0), tensors, f"blocks.{b}.down")
    x = _norm(x, tensors, "norm")
    policy, points = _linear(x, tensors, "policy_proj"), _linear(x, tensors, "value_head")
    belief = _linear(x, tensors, "belief_proj") if "belief_proj.weight" in tensors else None
    evals = np.zeros((len(obs), 8))
    for row, record in enumerate(obs):
        slots = [d for d in range(N_DOMINOES) if record["hand"] >> d & 1]
        legal = [s for s in range(7) if record["legal"] >> s & 1]
        evals[row, legal] = _softmax(policy[row : row + 1, [slots[s] for s in legal]])[0]
    for row, (chances, contract) in enumerate(zip(_softmax(points), obs["contract"], strict=True)):
        evals[row, 7] = value_of(chances, contract)
    return Answer(np.concatenate([policy, points], 1), belief, evals)
