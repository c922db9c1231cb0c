"""The v1 network as the evaluator uses it: same function as `v1.V1Net`, less work.

Only 33,330 different (token, position) pairs exist, so the embedding of each and its first
attention projection are looked up instead of computed. Everything else here is exact algebra:
the scale and shift of a layer norm move into the linear map that reads it, and because both heads
read the last layer's output linearly (the value head reads its mean), that layer's second
feed-forward matrix is multiplied into the heads once instead of into every token.

On the CPU it is ragged: all valid tokens of a block lie end to end, so every matrix product is
dense and only attention looks at one length at a time. On a GPU it is padded: one rectangle with a
key mask, a fixed number of kernels whatever the lengths are.
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
from zebfast.net.output import N_SLOTS
from zebfast.net.packing import (
    FIRST_PLAY,
    N_FEATURES,
    N_TOKENS,
    TYPE_HAND,
    TYPE_PLAY,
    Column,
    domino_features,
)
from zebfast.net.torch.encoding import bit_columns, record_bytes, unpack
from zebfast.net.torch.linear import Linear, fold_norm, plain_norm
from zebfast.net.torch.v1 import V1Net
from zebfast.rules import N_DECLARATIONS, N_DOMINOES, N_PLIES, N_SEATS

_FIRST_HAND_ROW = 1
_FIRST_PLAY_ROW = _FIRST_HAND_ROW + N_SLOTS * N_DOMINOES
_PLAY_ROWS = N_SEATS * N_DOMINOES
ROWS_PER_DECL = _FIRST_PLAY_ROW + N_PLIES * _PLAY_ROWS
_BUILD_ROWS = 4096  # rows of the first projection computed at a time, to bound scratch memory
_MASK_ALIGNMENT = 16
_HELD = np.array([bits.bit_count() for bits in range(256)], dtype=np.int64)


class FoldedLayer(NamedTuple):
    """One encoder layer whose layer norms have no scale or shift left."""

    qkv: Linear
    out: Linear
    up: Linear
    down: Linear


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


class FoldedV1:
    """A `folded.Folded` of a v1 network; lengths are valid tokens, 8 to 29."""

    def __init__(self, net: V1Net, *, dtype: torch.dtype) -> None:
        """Fold a module that is on its device in float32; stored in ``dtype`` (heads: float32)."""
        device = net.pos_embed.weight.device
        self.config = net.config
        encoder: list[Any] = list(net.encoder.layers)
        embedded = _embed_rows(net, device)
        # [33330, d] embedding + position of every possible token, and [33330, 3d] the first
        # layer's projection of it.
        self.embedded = embedded.to(dtype)
        self.first_qkv = _project_rows(embedded, *_first_map(encoder[0]), dtype=dtype)
        # The first's qkv and the last's down are never called.
        self.layers = [_fold_layer(layer, dtype) for layer in encoder]
        down, policy = encoder[-1].linear2, net.policy_proj
        # A logit is policy_x [d] . x + policy_f [ff] . f + policy_bias [], where x is the residual
        # stream and f the last feed-forward activation of a token.
        self.policy_x = policy.weight[0].clone()
        self.policy_f = policy.weight[0] @ down.weight
        self.policy_bias = policy.bias[0] + policy.weight[0] @ down.bias
        # The same for the value head's first layer and the mean token: [d/2, d], [d/2, ff], [d/2].
        value_in: Any = net.value_head[0]
        value_out: Any = net.value_head[2]
        self.value_x = value_in.weight.clone()
        self.value_f = value_in.weight @ down.weight
        self.value_bias = value_in.bias + value_in.weight @ down.bias
        self.value_out = value_out.weight.clone()  # [1, d/2]
        self.value_out_bias = value_out.bias.clone()  # [1]
        # By in-hand byte: int64[128, 36] the tokens, valid ones first, in order, and int64[128, 7]
        # the place of each slot among the valid ones.
        self.slot_order, self.slot_place = _slot_tables(device)

    def on_cpu(self, obs: NDArray[Any], *, chunk: int) -> tuple[Tensor, int, int]:
        """Ragged evaluation, observations of equal length side by side; no padding."""
        lengths = self.lengths(obs)
        order = np.argsort(lengths, kind="stable")
        lengths = lengths[order]
        looked_up = table_rows(self, record_bytes(obs[order]))
        valid = torch.arange(N_TOKENS) < torch.from_numpy(lengths).unsqueeze(1)
        tokens = looked_up.rows[valid]
        ends = np.cumsum(lengths)
        parts = [
            ragged(self, tokens[ends[i] - lengths[i] : ends[j - 1]], spans)
            for i, j, spans in _blocks(lengths, chunk)
        ]
        scores, mean_x, mean_f = (torch.cat(column) for column in zip(*parts, strict=True))
        places = torch.from_numpy(ends - lengths).unsqueeze(1) + looked_up.slot_place
        in_order = heads(self, scores[places], looked_up.legal, mean_x, mean_f)
        evals = torch.empty_like(in_order)
        evals[torch.from_numpy(order)] = in_order
        return evals, int(ends[-1]), 0

    def lengths(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Valid tokens: the declaration, the dominoes still held, the plays."""
        lengths: NDArray[np.int64] = 1 + _HELD[obs["in_hand"]] + obs["n_plays"]
        return lengths

    def on_device(self, raw: Tensor, length: int) -> Tensor:
        """float32[B, 8] for records uint8[B, 44] of at most ``length`` valid tokens each."""
        looked_up = table_rows(self, raw)
        lengths = 1 + (looked_up.slot_place > 0).sum(1) + raw[:, 5]
        features = padded(self, looked_up.rows[:, :length], lengths)
        slot_scores = features.scores.gather(1, looked_up.slot_place)
        return heads(self, slot_scores, looked_up.legal, features.mean_x, features.mean_f)


def _blocks(lengths: NDArray[np.int64], chunk_tokens: int) -> list[tuple[int, int, list[Span]]]:
    """Cut observations sorted by length into blocks of about ``chunk_tokens`` tokens.

    Returns (first, end, spans) of each block; its spans count tokens from the block's start.
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    n_blocks = max(1, round(total / chunk_tokens))
    cuts = np.searchsorted(ends, np.arange(1, n_blocks) * (total / n_blocks))
    edges = np.unique(np.concatenate([[0], cuts, [len(lengths)]]))
    blocks = []
    for i, j in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        values, counts = np.unique(lengths[i:j], return_counts=True)
        spans, start = [], 0
        for length, n in zip(values.tolist(), counts.tolist(), strict=True):
            spans.append(Span(start, n, length))
            start += length * n
        blocks.append((i, j, spans))
    return blocks


def _first_map(layer: Any) -> tuple[Tensor, Tensor]:
    attention = layer.self_attn
    return fold_norm(layer.norm1, attention.in_proj_weight, attention.in_proj_bias)


def _fold_layer(layer: Any, dtype: torch.dtype) -> FoldedLayer:
    out, up, down = layer.self_attn.out_proj, layer.linear1, layer.linear2
    return FoldedLayer(
        qkv=Linear(*_first_map(layer), dtype=dtype),
        out=Linear(out.weight, out.bias, dtype=dtype),
        up=Linear(*fold_norm(layer.norm2, up.weight, up.bias), dtype=dtype),
        down=Linear(down.weight, down.bias, dtype=dtype),
    )


def _embed_rows(net: V1Net, device: torch.device) -> Tensor:
    """float32[33330, d]: what enters the encoder for every possible token at its place."""
    dominoes = torch.from_numpy(domino_features())
    tokens = torch.zeros(N_DECLARATIONS, ROWS_PER_DECL, N_FEATURES, dtype=torch.int64)
    tokens[:, :, Column.DECL] = torch.arange(N_DECLARATIONS).unsqueeze(1)
    hand = tokens[:, _FIRST_HAND_ROW:_FIRST_PLAY_ROW]
    hand[:, :, : Column.COUNT + 1] = dominoes.repeat(N_SLOTS, 1)
    hand[:, :, Column.IN_HAND] = 1
    hand[:, :, Column.TYPE] = TYPE_HAND
    play = tokens[:, _FIRST_PLAY_ROW:]
    play[:, :, : Column.COUNT + 1] = dominoes.repeat(N_PLIES * N_SEATS, 1)
    play[:, :, Column.SEAT] = torch.arange(N_SEATS).repeat_interleave(N_DOMINOES).repeat(N_PLIES)
    play[:, :, Column.TYPE] = TYPE_PLAY
    repeats = torch.tensor([1] + [N_DOMINOES] * N_SLOTS + [_PLAY_ROWS] * N_PLIES)
    positions = torch.arange(N_TOKENS).repeat_interleave(repeats).to(device)
    rows = net.embeddings(tokens.to(device)) + net.pos_embed.weight[positions]
    flat: Tensor = rows.flatten(0, 1)
    return flat


def _project_rows(embedded: Tensor, weight: Tensor, bias: Tensor, *, dtype: torch.dtype) -> Tensor:
    """The first layer's projections [33330, 3d] of the normed rows."""
    projected = torch.empty(len(embedded), len(weight), device=embedded.device, dtype=dtype)
    for i in range(0, len(embedded), _BUILD_ROWS):
        part = embedded[i : i + _BUILD_ROWS]
        projected[i : i + _BUILD_ROWS] = F.linear(plain_norm(part), weight, bias)
    return projected


def _slot_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """(slot_order, slot_place) of FoldedV1; places of played slots and tails are 0."""
    order = torch.zeros(1 << N_SLOTS, N_TOKENS, dtype=torch.int64)
    place = torch.zeros(1 << N_SLOTS, N_SLOTS, dtype=torch.int64)
    for bits in range(1 << N_SLOTS):
        held = [s for s in range(N_SLOTS) if bits >> s & 1]
        valid = [0, *(1 + s for s in held), *range(FIRST_PLAY, N_TOKENS)]
        order[bits, : len(valid)] = torch.tensor(valid)
        for i, slot in enumerate(held):
            place[bits, slot] = 1 + i
    return order.to(device), place.to(device)


class Rows(NamedTuple):
    """A batch of B observations as rows of the lookup tables."""

    rows: Tensor  # int64[B, 36], valid tokens first; the rest is meaningless but in range
    slot_place: Tensor  # int64[B, 7] place of each unplayed slot among them (played: 0)
    legal: Tensor  # int64[B] bits


def table_rows(net: FoldedV1, raw: Tensor) -> Rows:
    """Look up records uint8[B, 44] on the device of ``net``; no host synchronisation."""
    fields = unpack(raw)
    slots = torch.arange(N_SLOTS, device=raw.device)
    plays = torch.arange(N_PLIES, device=raw.device)
    played = fields.plays
    tokens = torch.cat(
        [
            torch.zeros_like(fields.decl).unsqueeze(1),
            _FIRST_HAND_ROW + slots * N_DOMINOES + fields.slots,
            _FIRST_PLAY_ROW + plays * _PLAY_ROWS + (played >> 5) * N_DOMINOES + (played & 31),
        ],
        dim=1,
    )
    tokens += (fields.decl * ROWS_PER_DECL).unsqueeze(1)
    rows = tokens.gather(1, net.slot_order[fields.in_hand])
    return Rows(rows, net.slot_place[fields.in_hand], fields.legal)


def ragged(net: FoldedV1, rows: Tensor, spans: list[Span]) -> Features:
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


def padded(net: FoldedV1, rows: Tensor, lengths: Tensor) -> Features:
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
    net: FoldedV1, slot_scores: Tensor, legal: Tensor, mean_x: Tensor, mean_f: Tensor
) -> Tensor:
    """float32[n, 8]: softmax of slot_scores[n, 7] over the legal bits int64[n], then the value."""
    logits = (slot_scores + net.policy_bias).masked_fill(~bit_columns(legal), -torch.inf)
    hidden = F.linear(mean_x, net.value_x, net.value_bias) + F.linear(mean_f, net.value_f)
    value = torch.tanh(F.linear(F.gelu(hidden), net.value_out, net.value_out_bias))
    return torch.cat([torch.softmax(logits, dim=1), value], dim=1)


def _encode(
    net: FoldedV1, rows: Tensor, attend: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """float32 ([T, d], [T, ff]) for table rows int64[T]: the residual stream before the last
    feed-forward block's second map, and that block's activation."""
    x, qkv = net.embedded.index_select(0, rows), net.first_qkv.index_select(0, rows)
    for layer, following in pairwise(net.layers):
        x = layer.out.plus(attend(qkv), x)
        x = layer.down.plus(layer.up.relu(plain_norm(x)), x)
        qkv = following.qkv(plain_norm(x))
    last = net.layers[-1]
    x = last.out.plus(attend(qkv), x)
    return x.float(), last.up.relu(plain_norm(x)).float()


def _attention(net: FoldedV1, qkv: Tensor, n: int, length: int, bias: Tensor | None) -> Tensor:
    """Attention output [n * length, d] of projections [n * length, 3d]; ``bias``: `_key_bias`."""
    heads_first = qkv.view(n, length, 3, net.config.n_heads, -1).permute(2, 0, 3, 1, 4)
    q, k, v = heads_first.unbind(0)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return mixed.transpose(1, 2).reshape(n * length, -1)


def _own_kernel(net: FoldedV1) -> bool:
    """Whether the C core does the attention: faster than torch's on so few tokens, by 1.7 times in
    fp32 and 2.7 in bf16, but in the calling thread alone."""
    width = net.config.embed_dim // net.config.n_heads
    known = net.embedded.dtype in (torch.float32, torch.bfloat16)
    return known and fits(width) and torch.get_num_threads() == 1


def _own_attention(net: FoldedV1, qkv: Tensor, lengths: NDArray[np.int64]) -> Tensor:
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
