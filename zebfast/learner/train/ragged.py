"""The training forward pass on a CPU: only tokens that count, end to end, no padding.

Half of the 36 tokens of an average position are masked. Here every linear map runs over the valid
tokens of the whole batch at once, and attention over groups of rows of similar length. Without
dropout the outputs and gradients are those of ``V1Net.forward`` up to rounding; logits of slots
that are no longer in hand are not computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from zebfast.net.output import N_OTHER_SEATS, N_SLOTS
from zebfast.net.torch.encoding import TokenBatch
from zebfast.net.torch.output import Output
from zebfast.net.torch.v1 import V1Net
from zebfast.rules import N_DOMINOES

_GROUP_ROWS = 32
_DROPOUT_KEY = 1  # sampling uses key word 0


class Dropout:
    """Dropout masks from a counter: a function of (seed, step, rank); cheap (a byte an element).

    The rate is a multiple of 1/256 (26/256 for 0.1), and the scale is exact for that rate.
    """

    def __init__(self, *, rate: float, seed: int, step: int, rank: int = 0) -> None:
        self._dropped = round(rate * 256)
        self._bits = np.random.Philox(key=[seed, _DROPOUT_KEY], counter=[0, step, rank, 0])

    def __call__(self, x: Tensor) -> Tensor:
        if not self._dropped:
            return x
        words = self._bits.random_raw((x.numel() + 7) // 8)
        noise = torch.from_numpy(words.view(np.uint8)[: x.numel()]).view(x.shape)
        return x * (noise >= self._dropped).to(x.dtype).mul_(256 / (256 - self._dropped))


class _Group(NamedTuple):
    """Rows that attend together, padded to the longest of them."""

    n_rows: int
    length: int
    n_tokens: int
    places: Tensor  # int64[n_tokens]: where each goes in n_rows * length
    bias: Tensor  # float[n_rows, 1, 1, length]: 0 for tokens, -inf for padding


def length_order(raw: np.ndarray) -> np.ndarray:
    """Packed examples uint8[..., B, 64] with the rows of every batch ordered by plays made.

    A loss is a mean, so order within a batch is free; this one puts similar lengths together.
    """
    order = np.argsort(raw[..., 5], axis=-1, kind="stable")
    return np.take_along_axis(raw, order[..., None], axis=-2)


def forward(net: V1Net, inputs: TokenBatch, dropout: Dropout) -> Output:
    """Evaluate a batch on the CPU, differentiably; best with rows in ``length_order``."""
    rows, places = inputs.mask.nonzero(as_tuple=True)
    lengths = inputs.mask.sum(1)
    ends = lengths.cumsum(0)
    groups = _make_groups(lengths)
    x = net.embeddings(inputs.tokens[rows, places]) + net.pos_embed(places)
    for layer in net.encoder.layers:
        attention = layer.self_attn
        qkv = functional.linear(layer.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
        parts = qkv.split_with_sizes([g.n_tokens for g in groups])
        mixed = [
            _attend(part, group, attention.num_heads, dropout)
            for part, group in zip(parts, groups, strict=True)
        ]
        x = x + dropout(attention.out_proj(torch.cat(mixed)))
        hidden = dropout(functional.relu(layer.linear1(layer.norm2(x))))
        x = x + dropout(layer.linear2(hidden))
    pooled = x.new_zeros(len(lengths), x.shape[1]).index_add(0, rows, x) / lengths.unsqueeze(1)
    rank = inputs.mask[:, : 1 + N_SLOTS].cumsum(1)[:, 1:] - 1
    slots = ((ends - lengths).unsqueeze(1) + rank).flatten()
    policy = net.policy_proj(x).squeeze(1).index_select(0, slots).view(-1, N_SLOTS)
    belief = None
    if net.belief_proj is not None:
        belief = net.belief_proj(pooled).unflatten(-1, (N_DOMINOES, N_OTHER_SEATS))
    return Output(policy, net.value_head(pooled).squeeze(-1), belief)


def _make_groups(lengths: Tensor) -> list[_Group]:
    groups = []
    for start in range(0, len(lengths), _GROUP_ROWS):
        own = lengths[start : start + _GROUP_ROWS]
        longest = int(own.max())
        valid = torch.arange(longest) < own.unsqueeze(1)
        bias = torch.zeros(len(own), longest).masked_fill_(~valid, -torch.inf)
        places = valid.flatten().nonzero().squeeze(1)
        groups.append(_Group(len(own), longest, len(places), places, bias[:, None, None, :]))
    return groups


def _attend(qkv: Tensor, group: _Group, n_heads: int, dropout: Dropout) -> Tensor:
    """Attention output [tokens, d] of the projections [tokens, 3d] of one group."""
    n, length, width = group.n_rows, group.length, qkv.shape[1]
    padded = qkv.new_zeros(n * length, width).index_copy(0, group.places, qkv)
    q, k, v = padded.view(n, length, 3, n_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3) + group.bias
    mixed = dropout(scores.softmax(3)) @ v
    return mixed.transpose(1, 2).reshape(n * length, -1).index_select(0, group.places)
