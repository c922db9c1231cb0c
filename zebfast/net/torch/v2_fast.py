"""The v2 network as the evaluator uses it: rows of a table summed on the CPU, dense on a GPU.

The same function as `v2.V2Net`: the scale and shift of a layer norm move into the linear map that
reads it, and the policy and points heads become one map.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from zebfast.core.features import answers, first_layer
from zebfast.net.output import N_SLOTS
from zebfast.net.torch.features import expand
from zebfast.net.torch.linear import Linear, fold_norm, plain_norm
from zebfast.net.torch.v2 import V2Net, value_of_points
from zebfast.rules import N_DOMINOES

_NO_ROWS = np.empty((1, 0), dtype=np.float32)


class FoldedBlock(NamedTuple):
    """One residual block whose layer norm has no scale or shift left."""

    up: Linear
    down: Linear


class FoldedV2:
    """A `folded.Folded` of a v2 network: every observation costs the same, no lengths."""

    def __init__(self, net: V2Net, *, dtype: torch.dtype) -> None:
        """Fold a module that is on its device in float32; stored in ``dtype`` (heads: float32)."""
        self._dtype = dtype
        first = net.first
        self._first = Linear(first.weight, first.bias, dtype=dtype)
        on_cpu = first.weight.device.type == "cpu"
        # float32[856, W] and float32[W] for the CPU, which adds rows; elsewhere empty.
        self._table = first.weight.t().contiguous().numpy() if on_cpu else _NO_ROWS
        self._bias = first.bias.numpy() if on_cpu else _NO_ROWS[0]
        self._blocks = [_fold_block(block, dtype) for block in net.blocks]
        weight = torch.cat([net.policy_proj.weight, net.value_head.weight])
        bias = torch.cat([net.policy_proj.bias, net.value_head.bias])
        self._heads = Linear(*fold_norm(net.norm, weight, bias), dtype=torch.float32)

    def on_cpu(self, obs: NDArray[Any], *, chunk: int) -> tuple[Tensor, int, int]:
        """``chunk`` observations at a time through all layers; there are no tokens to count."""
        evals = np.empty((len(obs), N_SLOTS + 1), dtype=np.float32)
        n_chunks = max(1, round(len(obs) / chunk))
        edges = np.linspace(0, len(obs), n_chunks + 1).astype(int).tolist()
        for i, j in pairwise(edges):
            x = np.empty((j - i, self._table.shape[1]), dtype=np.float32)
            first_layer(obs[i:j], self._table, self._bias, x)
            scores = self._scores(torch.from_numpy(x).to(self._dtype))
            answers(obs[i:j], scores.numpy(), evals[i:j])
        return torch.from_numpy(evals), 0, 0

    def lengths(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Zeros: there is no rectangle."""
        return np.zeros(len(obs), dtype=np.int64)

    def on_device(self, raw: Tensor, length: int) -> Tensor:
        """float32[B, 8] for records uint8[B, 36]; ``length`` has no meaning."""
        batch = expand(raw)
        scores = self._scores(self._first(batch.features.to(self._dtype)))
        logits = scores[:, :N_DOMINOES].gather(1, batch.slots)
        priors = F.softmax(logits.masked_fill(~batch.legal, -torch.inf), dim=1)
        value = value_of_points(scores[:, N_DOMINOES:])
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
