"""The kinds of network there are, told apart by their tokenizer, and whether a set of weights is
what a network needs, and which network a set of weights is of.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zebfast.net import v1, v2
from zebfast.net.features import N_BITS
from zebfast.net.v1 import NetConfig
from zebfast.net.v2 import V2Config
from zebfast.system.finite import first_non_finite
from zebfast.system.settings import shown

AnyConfig: TypeAlias = NetConfig | V2Config
#: Parameter name -> its values.
Arrays: TypeAlias = Mapping[str, NDArray[np.float32]]

_KINDS: Mapping[str, type[NetConfig] | type[V2Config]] = {
    v1.TOKENIZER: NetConfig,
    v2.TOKENIZER: V2Config,
}
TOKENIZERS = tuple(_KINDS)
SIZE_NAMES = tuple(v1.SIZES)


def config_from_dict(fields: Mapping[str, object]) -> AnyConfig:
    """Config from a file's ``model_config``; ValueError names what is missing or unknown.

    Published configs need not name their tokenizer: it is v1 then.
    """
    tokenizer = fields.get("tokenizer", v1.TOKENIZER)
    if not isinstance(tokenizer, str) or tokenizer not in _KINDS:
        names = ", ".join(TOKENIZERS)
        raise ValueError(f"unknown tokenizer {shown(tokenizer)}; this version knows: {names}")
    kind = _KINDS[tokenizer]
    known = dataclasses.fields(kind)
    needed = {found.name for found in known if found.default is dataclasses.MISSING}
    missing = sorted(needed - fields.keys())
    unknown = sorted(map(shown, fields.keys() - {found.name for found in known}))
    if missing or unknown:
        what = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown[:5])}"
        raise ValueError(f"the network config {what}")
    made: AnyConfig = kind(**fields)  # type: ignore[arg-type]  # checked in __post_init__
    return made


def sized(tokenizer: str, size: str, *, belief_head: bool, contract: bool = False) -> AnyConfig:
    """Config of a named size; ValueError for a tokenizer or size there is not.

    ``contract``: it sees what hands are played for, as v2 networks alone can.
    """
    if tokenizer not in TOKENIZERS or size not in SIZE_NAMES:
        raise ValueError(
            f"there is no {size!r} {tokenizer!r} network; tokenizers are {', '.join(TOKENIZERS)} "
            f"and sizes {', '.join(SIZE_NAMES)}"
        )
    if tokenizer == v1.TOKENIZER:
        if contract:
            raise ValueError("v1 networks see no contracts; v2 ones can")
        return replace(v1.SIZES[size], belief_head=belief_head)
    return replace(v2.SIZES[size], belief_head=belief_head, contract=contract)


def size_name(config: AnyConfig) -> str | None:
    """Which named size this is, with a belief head or without; None if it is of none."""
    for size in SIZE_NAMES:
        named = sized(config.tokenizer, size, belief_head=config.belief_head)
        if isinstance(named, V2Config) and isinstance(config, V2Config):
            named = replace(named, contract=config.contract)
        if config == named:
            return size
    return None


class BadCheckpoint(ValueError):
    """A file or a set of weights that cannot be used; one sentence that names it."""


class Diverged(BadCheckpoint):
    """Weights that are no numbers: what happened, and how to go back."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} holds NaN or infinite numbers: the training that wrote these weights has "
            "diverged; go back to earlier ones (of an experiment: zebfast experiment revert NAME "
            "--to FILE, or --list)"
        )


def check_weights(config: AnyConfig, weights: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """``weights`` as float32 arrays, C-contiguous, if they are exactly those of ``config``.

    BadCheckpoint names the first thing wrong: missing or foreign keys, shapes, types; Diverged is
    for NaN and infinite numbers.
    """
    expected = config.parameters()
    missing = sorted(expected.keys() - weights.keys())
    foreign = sorted(weights.keys() - expected.keys(), key=repr)
    if missing or foreign:
        what = f"lack {missing[0]!r}" if missing else f"have {shown(foreign[0])}, which it has not"
        raise BadCheckpoint(f"the weights do not fit the network {config.to_dict()}: they {what}")
    checked = {}
    for name, shape in expected.items():
        weight = weights[name]
        if not isinstance(weight, np.ndarray):
            raise BadCheckpoint(f"{name!r} is not a dense tensor")
        if weight.shape != shape:
            raise BadCheckpoint(
                f"the weights do not fit the network {config.to_dict()}: {name!r} has shape "
                f"{list(weight.shape)} instead of {list(shape)}"
            )
        if weight.dtype.kind != "f":
            raise BadCheckpoint(f"{name!r} holds {weight.dtype} instead of floating-point numbers")
        with np.errstate(over="ignore"):  # what is too large for float32 is infinite, and told so
            checked[name] = np.ascontiguousarray(weight, dtype=np.float32)
    bad = first_non_finite(checked)
    if bad is not None:
        raise Diverged(bad)
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
    return V2Config(
        width=width, n_blocks=n_blocks, belief_head=belief_head, contract=sees_contracts(weights)
    )


def sees_contracts(weights: Mapping[str, Any]) -> bool:
    """Whether the first layer of a v2 network has rows for what hands are played for."""
    return _matrix_size(weights, v2.FIRST_WEIGHT, 1) == N_BITS


def _n_numbered(weights: Mapping[str, Any], pattern: str) -> int:
    return len({m[1] for k in weights if (m := re.match(pattern, k))})


def _matrix_size(weights: Mapping[str, Any], name: str, axis: int) -> int | None:
    weight = weights.get(name)
    return weight.shape[axis] if isinstance(weight, np.ndarray) and weight.ndim == 2 else None
