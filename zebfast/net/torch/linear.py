"""A linear map for inference that uses oneDNN's packed weights where this build of torch has them.

On x86 that is about 8 % faster than `F.linear` and fuses the activation or the residual addition.
The operators are the ones torch's own compiler emits; where they are missing or refuse a shape,
the ordinary ones do the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TYPICAL_ROWS = 1024  # only a hint for the packed layout
#: Types that oneDNN packs, and how far its answer may lie from the ordinary one.
_PACKABLE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}


class Linear:
    """``x @ weight.T + bias`` for weight [n_out, n_in] in ``dtype``; no gradients."""

    def __init__(self, weight: Tensor, bias: Tensor, *, dtype: torch.dtype) -> None:
        self._weight = weight.detach().to(dtype).contiguous()
        self._bias = bias.detach().to(dtype).contiguous()
        self._packed = _pack(self._weight, self._bias)

    def __call__(self, x: Tensor) -> Tensor:
        """[T, n_in] -> [T, n_out]."""
        if self._packed is None:
            return F.linear(x, self._weight, self._bias)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return y

    def relu(self, x: Tensor) -> Tensor:
        """max(0, linear(x))."""
        if self._packed is None:
            return torch.relu_(F.linear(x, self._weight, self._bias))
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "relu", [], "")
        return y

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """residual + linear(x)."""
        if self._packed is None:
            return F.linear(x, self._weight, self._bias).add_(residual)
        y: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            x, residual, self._packed, self._bias, "add"
        )
        return y


def _pack(weight: Tensor, bias: Tensor) -> Tensor | None:
    """Packed weights, or None where packing is unavailable, wrong or not for this device."""
    if weight.device.type != "cpu" or weight.dtype not in _PACKABLE:
        return None
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    try:
        packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)
        probe = torch.ones(2, weight.shape[1], dtype=weight.dtype)
        residual = torch.zeros(2, weight.shape[0], dtype=weight.dtype)
        got = torch.ops.mkldnn._linear_pointwise.binary(probe, residual, packed, bias, "add")
        want = F.linear(probe, weight, bias)
    except (AttributeError, RuntimeError, TypeError):
        return None  # a build without these operators, or with other signatures
    bound = _PACKABLE[weight.dtype]
    return packed if torch.allclose(got, want, rtol=bound, atol=bound, equal_nan=True) else None


def fold_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """(weight, bias) of a linear map that reads ``norm``, with its scale and shift moved in."""
    return weight * norm.weight, bias + weight @ norm.bias


def plain_norm(x: Tensor) -> Tensor:
    """Layer norm without scale and shift, which `fold_norm` moved into the next map."""
    return F.layer_norm(x, x.shape[-1:])
