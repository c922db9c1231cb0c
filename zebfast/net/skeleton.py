"""Networks without numbers, to be compared with weights or filled with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_Config = TypeVar("_Config")
_Net = TypeVar("_Net")


def skeleton(build: Callable[[_Config], _Net], config: _Config) -> _Net:
    """``build(config)`` on the meta device, in training mode; nothing is drawn."""
    with torch.device("meta"), _Undrawn():
        return build(config)


class _Undrawn(TorchFunctionMode):
    """Tensors stay as they are where they would be filled with normally distributed numbers.

    To do that on the meta device torch imports its compiler: 2 seconds of every start.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.init.normal_:
            return [*args, *(kwargs or {}).values()][0]
        return func(*args, **(kwargs or {}))
