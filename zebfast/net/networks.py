"""The kinds of network there are, told apart by their tokenizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zebfast.net import v1, v2
from zebfast.net.output import Output, n_parameters
from zebfast.net.v1 import NetConfig, V1Net
from zebfast.net.v2 import V2Config, V2Net

__all__ = [
    "SIZE_NAMES",
    "TOKENIZERS",
    "AnyConfig",
    "AnyNet",
    "Output",
    "build",
    "config_from_dict",
    "n_parameters",
    "size_name",
    "sized",
]

AnyConfig = NetConfig | V2Config
AnyNet = V1Net | V2Net

_Config = TypeVar("_Config")
_Net = TypeVar("_Net", bound=nn.Module)

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
        raise ValueError(f"unknown tokenizer {tokenizer!r}; this version knows: {names}")
    kind = _KINDS[tokenizer]
    known = dataclasses.fields(kind)
    needed = {found.name for found in known if found.default is dataclasses.MISSING}
    missing = sorted(needed - fields.keys())
    unknown = sorted(map(repr, fields.keys() - {found.name for found in known}))
    if missing or unknown:
        what = f"lacks {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise ValueError(f"the network config {what}")
    made: AnyConfig = kind(**fields)  # type: ignore[arg-type]  # checked in __post_init__
    return made


def build(config: AnyConfig) -> AnyNet:
    """The untrained module, in training mode, on torch's default device.

    Draws its weights from torch's global generator.
    """
    return V1Net(config) if isinstance(config, NetConfig) else V2Net(config)


def sized(tokenizer: str, size: str, *, belief_head: bool) -> AnyConfig:
    """Config of a named size; ValueError for a tokenizer or size there is not."""
    if tokenizer not in TOKENIZERS or size not in SIZE_NAMES:
        raise ValueError(
            f"there is no {size!r} {tokenizer!r} network; tokenizers are {', '.join(TOKENIZERS)} "
            f"and sizes {', '.join(SIZE_NAMES)}"
        )
    if tokenizer == v1.TOKENIZER:
        return replace(v1.SIZES[size], belief_head=belief_head)
    return replace(v2.SIZES[size], belief_head=belief_head)


def size_name(config: AnyConfig) -> str | None:
    """Which named size this is, with a belief head or without; None if it is of none."""
    for size in SIZE_NAMES:
        if config == sized(config.tokenizer, size, belief_head=config.belief_head):
            return size
    return None



def skeleton(build: Callable[[_Config], _Net], config: _Config) -> _Net:
    """``build(config)`` on the meta device, in training mode; nothing is drawn."""
    with torch.device("meta"), _Undrawn():
        return build(config)


def filled(
    build: Callable[[_Config], _Net], config: _Config, weights: Mapping[str, Tensor]
) -> _Net:
    """``build(config)`` whose parameters are these very tensors, in training mode."""
    net = skeleton(build, config)
    net.load_state_dict(dict(weights), assign=True)
    return net


class _Undrawn(TorchFunctionMode):
    """Tensors stay as they are where they would be filled with normally distributed numbers.

    To do that on the meta device torch imports its compiler: 2 seconds of every start.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = _leave if func is nn.init.normal_ else func
        return call(*args, **(kwargs or {}))


def _leave(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor
