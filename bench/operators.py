"""What torch was asked to do: operators, floating-point operations, waits of the host.

The same work is the same number every time, so these are compared exactly, torch by torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

#: Operators for which the host waits until the device has reached them: their answer is a Python
#: number, or a tensor whose size depends on the data.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::equal",
    "aten::is_nonzero",
    "aten::item",
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave.Tensor",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::unique_dim",
}
COPYING = {"aten::_to_copy", "aten::copy_", "aten::to"}


class Operators(TorchDispatchMode):
    """Counts the operators that torch dispatches inside the block, by name.

    ``waits`` are those that make a host wait for its device: answers it needs at once, masks used
    as indices, and copies between the two.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_name: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.by_name.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, overload = func._schema.name, func._schema.overload_name
        result = func(*args, **(kwargs or {}))
        self.by_name[name] += 1
        waits = name in WAITING or f"{name}.{overload}" in WAITING
        if name in COPYING:
            tensors = [x for x in (*args[:2], result) if isinstance(x, Tensor)]
            waits = len({x.device.type for x in tensors}) > 1
        elif name in ("aten::index", "aten::index_put_"):
            waits = any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])
        self.waits[name] += waits
        return result


def _linear_flops(x: Any, weight: Any, *_args: Any, out_shape: Any = None, **_kwargs: Any) -> int:
    return 2 * x[:-1].numel() * x[-1] * out_shape[-1]


def _binary_linear_flops(x: Any, _other: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    return _linear_flops(x, weight, *args, **kwargs)


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products inside, the packed ones of oneDNN too."""
    packed = torch.ops.mkldnn._linear_pointwise
    mapping = {packed: _linear_flops, packed.binary: _binary_linear_flops}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        work()
    return counter.get_total_flops()


def operators(work: Callable[[], object]) -> Operators:
    """What torch was asked to do inside."""
    with Operators() as counter:
        work()
    return counter
