"""Whether a set of weights is what a network needs, and which network a set of weights is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zebfast.net import v1, v2
from zebfast.net.networks import AnyConfig, build, skeleton
from zebfast.net.v1 import NetConfig
from zebfast.net.v2 import V2Config


class BadCheckpoint(ValueError):
    """A file or a set of weights that cannot be used; one sentence that names it."""


def check_weights(config: AnyConfig, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """``weights`` as float32 tensors on the CPU if they are exactly those of ``config``.

    BadCheckpoint names the first thing wrong: missing or foreign keys, shapes, types, NaN.
    """
    expected = skeleton(build, config).state_dict()
    missing = sorted(expected.keys() - weights.keys())
    foreign = sorted(weights.keys() - expected.keys(), key=repr)
    if missing or foreign:
        what = f"lack {missing[0]!r}" if missing else f"have {foreign[0]!r}, which it has not"
        raise BadCheckpoint(f"the weights do not fit the network {config.to_dict()}: they {what}")
    checked = {}
    for name, like in expected.items():
        weight = weights[name]
        if not isinstance(weight, Tensor) or weight.layout != torch.strided:
            raise BadCheckpoint(f"{name!r} is not a dense tensor")
        if weight.shape != like.shape:
            raise BadCheckpoint(
                f"the weights do not fit the network {config.to_dict()}: {name!r} has shape "
                f"{list(weight.shape)} instead of {list(like.shape)}"
            )
        if not weight.is_floating_point():
            raise BadCheckpoint(f"{name!r} holds {weight.dtype} instead of floating-point numbers")
        checked[name] = weight.detach().to("cpu", torch.float32)
        if not torch.isfinite(checked[name]).all():
            raise BadCheckpoint(f"{name!r} holds NaN or infinite numbers")
    return checked


def infer_config(weights: Mapping[str, Any]) -> AnyConfig:
    """Config of a plain ``state_dict``: any v2 network, or a v1 network of a published size.

    BadCheckpoint if it is of neither: the number of heads leaves no trace in the weights of a v1
    network, so its other sizes need their config.
    """
    found = _infer_v2(weights) if v2.FIRST_WEIGHT in weights else _infer_v1(weights)
    if found is None:
        raise BadCheckpoint("it does not hold the weights of a v1 or v2 network")
    return found


def _infer_v1(weights: Mapping[str, Any]) -> NetConfig | None:
    n_layers = _n_numbered(weights, r"encoder\.layers\.(\d+)\.")
    embed_dim = _matrix_size(weights, "pos_embed.weight", 1)
    ff_dim = _matrix_size(weights, "encoder.layers.0.linear1.weight", 0)
    if embed_dim is None or ff_dim is None:
        return None
    shape = (embed_dim, n_layers, ff_dim)
    for config in v1.SIZES.values():
        if shape == (config.embed_dim, config.n_layers, config.ff_dim):
            return replace(config, belief_head="belief_proj.0.weight" in weights)
    raise BadCheckpoint(
        f"its weights (embed_dim {shape[0]}, {shape[1]} layers, ff_dim {shape[2]}) are of no "
        "published size and it has no model_config"
    )


def _infer_v2(weights: Mapping[str, Any]) -> V2Config | None:
    """ValueError if no network can have the shape that the weights show."""
    width = _matrix_size(weights, v2.FIRST_WEIGHT, 0)
    if width is None:
        return None
    n_blocks = _n_numbered(weights, r"blocks\.(\d+)\.")
    belief_head = "belief_proj.weight" in weights
    return V2Config(width=width, n_blocks=n_blocks, belief_head=belief_head)


def _n_numbered(weights: Mapping[str, Any], pattern: str) -> int:
    return len({m[1] for k in weights if (m := re.match(pattern, k))})


def _matrix_size(weights: Mapping[str, Any], name: str, axis: int) -> int | None:
    weight = weights.get(name)
    return weight.shape[axis] if isinstance(weight, Tensor) and weight.ndim == 2 else None
