"""Two ways to run a folded network over a batch: ragged (CPU) and padded (CUDA).

Ragged: all valid tokens of a block lie end to end, so every matrix product is dense and only
attention looks at one length at a time. Padded: one rectangle with a key mask, a fixed number of
kernels whatever the lengths are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from zebfast.core.attention import attention, fits
from zebfast.net.encoding import bit_columns
from zebfast.net.tables import FoldedNet

_MASK_ALIGNMENT = 16


class Span(NamedTuple):
    """``n`` observations of ``length`` valid tokens each, starting at token ``start``."""

    start: int
    n: int
    length: int


class Features(NamedTuple):
    """What the heads need of T tokens and n observations (float32)."""

    scores: Tensor  # [T] (ragged) or [n, length] (padded): policy logit of every token
    mean_x: Tensor  # [n, d] mean residual stream before the last feed-forward block's second map
    mean_f: Tensor  # [n, ff] mean activation inside that block


def ragged(net: FoldedNet, rows: Tensor, spans: list[Span]) -> Features:
    """Run tokens given as table rows int64[T], observations end to end as ``spans`` say."""
    lengths = np.repeat([s.length for s in spans], [s.n for s in spans])
    own = _own_kernel(net)

    def attend(qkv: Tensor) -> Tensor:
        if own:
            return _own_attention(net, qkv, lengths)
        parts = [
            _attention(net, qkv[s.start : s.start + s.n * s.length], s.n, s.length, None)
            for s in spans
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    x, f = _encode(net, rows, attend)
    scores = torch.mv(x, net.policy_x).add_(torch.mv(f, net.policy_f))
    return Features(scores, _span_means(x, spans), _span_means(f, spans))


def padded(net: FoldedNet, rows: Tensor, lengths: Tensor) -> Features:
    """Run table rows int64[n, length], of which ``lengths`` int64[n] are valid in each."""
    n, length = rows.shape
    bias = _key_bias(lengths, length, net.embedded.dtype)
    bias = bias[:, None, None, :length].expand(-1, net.config.n_heads, length, -1)
    x, f = _encode(net, rows.reshape(-1), lambda qkv: _attention(net, qkv, n, length, bias))
    scores = (x @ net.policy_x + f @ net.policy_f).view(n, length)
    valid = torch.arange(length, device=rows.device) < lengths.unsqueeze(1)
    weights = (valid / lengths.unsqueeze(1)).to(torch.float32).unsqueeze(1)
    mean_x, mean_f = (torch.bmm(weights, t.view(n, length, -1)).squeeze(1) for t in (x, f))
    return Features(scores, mean_x, mean_f)


def heads(
    net: FoldedNet, slot_scores: Tensor, legal: Tensor, mean_x: Tensor, mean_f: Tensor
) -> Tensor:
    """float32[n, 8]: softmax of slot_scores[n, 7] over the legal bits int64[n], then the value."""
    logits = (slot_scores + net.policy_bias).masked_fill(~bit_columns(legal), -torch.inf)
    hidden = F.linear(mean_x, net.value_x, net.value_bias) + F.linear(mean_f, net.value_f)
    value = torch.tanh(F.linear(F.gelu(hidden), net.value_out, net.value_out_bias))
    return torch.cat([torch.softmax(logits, dim=1), value], dim=1)


def _encode(
    net: FoldedNet, rows: Tensor, attend: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """float32 ([T, d], [T, ff]) for table rows int64[T]: the residual stream before the last
    feed-forward block's second map, and that block's activation."""
    x, qkv = net.embedded.index_select(0, rows), net.first_qkv.index_select(0, rows)
    for layer, following in pairwise(net.layers):
        x = layer.out.plus(attend(qkv), x)
        x = layer.down.plus(layer.up.relu(_norm(x)), x)
        qkv = following.qkv(_norm(x))
    last = net.layers[-1]
    x = last.out.plus(attend(qkv), x)
    return x.float(), last.up.relu(_norm(x)).float()


def _norm(x: Tensor) -> Tensor:
    """Layer norm without scale and shift, which `tables.fold` moved into the next map."""
    return F.layer_norm(x, x.shape[-1:])


def _attention(net: FoldedNet, qkv: Tensor, n: int, length: int, bias: Tensor | None) -> Tensor:
    """Attention output [n * length, d] of projections [n * length, 3d]; ``bias``: `_key_bias`."""
    heads_first = qkv.view(n, length, 3, net.config.n_heads, -1).permute(2, 0, 3, 1, 4)
    q, k, v = heads_first.unbind(0)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return mixed.transpose(1, 2).reshape(n * length, -1)


def _own_kernel(net: FoldedNet) -> bool:
    """Whether the C core does the attention: faster than torch's on so few tokens, by 1.7 times in
    fp32 and 2.7 in bf16, but in the calling thread alone."""
    width = net.config.embed_dim // net.config.n_heads
    known = net.embedded.dtype in (torch.float32, torch.bfloat16)
    return known and fits(width) and torch.get_num_threads() == 1


def _own_attention(net: FoldedNet, qkv: Tensor, lengths: NDArray[np.int64]) -> Tensor:
    """Attention output [T, d] of projections [T, 3d], observations of ``lengths`` end to end."""
    mixed = qkv.new_empty(len(qkv), net.config.embed_dim)
    attention(_numbers(qkv), lengths, _numbers(mixed), n_heads=net.config.n_heads)
    return mixed


def _numbers(x: Tensor) -> NDArray[Any]:
    """The same memory for NumPy, which has no bfloat16: its bits as uint16."""
    view: NDArray[Any] = (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()
    return view


def _key_bias(lengths: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """[n, at least ``length``]: 0 for valid keys, -inf for others, made once for all layers.

    Fused attention kernels on CUDA take a mask only as numbers, and without copying it only where
    its rows begin at multiples of 16 elements; heads and queries may share one row.
    """
    width = -(-length // _MASK_ALIGNMENT) * _MASK_ALIGNMENT
    outside = torch.arange(width, device=lengths.device) >= lengths.unsqueeze(1)
    bias = torch.zeros(outside.shape, dtype=dtype, device=lengths.device)
    return bias.masked_fill_(outside, -torch.inf)


def _span_means(tokens: Tensor, spans: list[Span]) -> Tensor:
    parts = [
        tokens[s.start : s.start + s.n * s.length].view(s.n, s.length, -1).mean(1) for s in spans
    ]
    return torch.cat(parts)
