"""Networks without numbers, to be compared with weights or filled with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_Config = TypeVar("_Config")
_Net = TypeVar("_Net", bound=nn.Module)


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
