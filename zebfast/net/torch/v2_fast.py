"""The v2 network as the evaluator uses it on a GPU.

The same function as `v2.V2Net`: the scale and shift of a layer norm move into the linear map that
reads it, and the policy and points heads become one map.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from zebfast.net.torch.encoding import record_bytes
from zebfast.net.torch.features import expand
from zebfast.net.torch.linear import Linear, fold_norm, plain_norm
from zebfast.net.torch.v2 import V2Net, value_of_points
from zebfast.rules import N_DOMINOES


class FoldedBlock(NamedTuple):
    """One residual block whose layer norm has no scale or shift left."""

    up: Linear
    down: Linear


class FoldedV2:
    """A `folded.Folded` of a v2 network: every observation costs the same, no lengths."""

    def __init__(self, net: V2Net, *, dtype: torch.dtype) -> None:
        """Fold a module that is on its device in float32; stored in ``dtype`` (heads: float32)."""
        self._dtype, self._n_bits = dtype, net.config.n_bits
        first = net.first
        self._first = Linear(first.weight, first.bias, dtype=dtype)
        self._blocks = [_fold_block(block, dtype) for block in net.blocks]
        weight = torch.cat([net.policy_proj.weight, net.value_head.weight])
        bias = torch.cat([net.policy_proj.bias, net.value_head.bias])
        self._heads = Linear(*fold_norm(net.norm, weight, bias), dtype=torch.float32)

    def on_cpu(self, obs: NDArray[Any], *, chunk: int) -> tuple[Tensor, int, int]:
        """As on a device, for comparisons: what plays on the CPU is `cpu.CpuEvaluator`."""
        return self.on_device(record_bytes(obs), 0), 0, 0

    def lengths(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Zeros: there is no rectangle."""
        return np.zeros(len(obs), dtype=np.int64)

    def on_device(self, raw: Tensor, length: int) -> Tensor:
        """float32[B, 8] for records uint8[B, 44]; ``length`` has no meaning."""
        batch = expand(raw, self._n_bits)
        scores = self._scores(self._first(batch.features.to(self._dtype)))
        logits = scores[:, :N_DOMINOES].gather(1, batch.slots)
        priors = F.softmax(logits.masked_fill(~batch.legal, -torch.inf), dim=1)
        value = value_of_points(scores[:, N_DOMINOES:], batch.aim)
        return torch.cat([priors, value.unsqueeze(1)], dim=1)

    def _scores(self, x: Tensor) -> Tensor:
        """float32[B, 71] logits of the dominoes and the points from the first layer [B, W]."""
        for block in self._blocks:
            x = block.down.plus(block.up.relu(plain_norm(x)), x)
        return self._heads(plain_norm(x.float()))


def _fold_block(block: Any, dtype: torch.dtype) -> FoldedBlock:
    up = fold_norm(block.norm, block.up.weight, block.up.bias)
    down = Linear(block.down.weight, block.down.bias, dtype=dtype)
    return FoldedBlock(Linear(*up, dtype=dtype), down)
