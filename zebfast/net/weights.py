"""Whether a set of weights is what a network needs, and which network a set of weights is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zebfast.net.v1 import SIZES, NetConfig, V1Net


class BadCheckpoint(ValueError):
    """A file or a set of weights that cannot be used; one sentence that names it."""


def check_weights(config: NetConfig, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """``weights`` as float32 tensors on the CPU if they are exactly those of ``config``.

    BadCheckpoint names the first thing wrong: missing or foreign keys, shapes, types, NaN.
    """
    with torch.device("meta"):
        expected = V1Net(config).state_dict()
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


def infer_config(weights: Mapping[str, Any]) -> NetConfig:
    """Config of a plain ``state_dict`` of a published size; BadCheckpoint if it is of none.

    The number of heads leaves no trace in the weights, so other sizes need their config.
    """
    layers = {m[1] for k in weights if (m := re.match(r"encoder\.layers\.(\d+)\.", k))}
    position, up = weights.get("pos_embed.weight"), weights.get("encoder.layers.0.linear1.weight")
    matrices = [w for w in (position, up) if isinstance(w, Tensor) and w.ndim == 2]
    if len(matrices) < 2:
        raise BadCheckpoint("it does not hold the weights of a v1 network")
    shape = (matrices[0].shape[1], len(layers), matrices[1].shape[0])
    for config in SIZES.values():
        if shape == (config.embed_dim, config.n_layers, config.ff_dim):
            return replace(config, belief_head="belief_proj.0.weight" in weights)
    raise BadCheckpoint(
        f"its weights (embed_dim {shape[0]}, {shape[1]} layers, ff_dim {shape[2]}) are of no "
        "published size and it has no model_config"
    )
