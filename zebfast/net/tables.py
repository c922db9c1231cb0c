"""The v1 network folded for evaluation: same function, less work.

Only 33,330 different (token, position) pairs exist, so the embedding of each and its first
attention projection are looked up instead of computed. Everything else here is exact algebra:
the scale and shift of a layer norm move into the linear map that reads it, and because both heads
read the last layer's output linearly (the value head reads its mean), that layer's second
feed-forward matrix is multiplied into the heads once instead of into every token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zebfast.net.encoding import unpack
from zebfast.net.linear import Linear
from zebfast.net.networks import filled
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
from zebfast.net.v1 import NetConfig, V1Net
from zebfast.rules import N_DECLARATIONS, N_DOMINOES, N_PLIES, N_SEATS

_FIRST_HAND_ROW = 1
_FIRST_PLAY_ROW = _FIRST_HAND_ROW + N_SLOTS * N_DOMINOES
_PLAY_ROWS = N_SEATS * N_DOMINOES
ROWS_PER_DECL = _FIRST_PLAY_ROW + N_PLIES * _PLAY_ROWS
_BUILD_ROWS = 4096  # rows of the first projection computed at a time, to bound scratch memory


class FoldedLayer(NamedTuple):
    """One encoder layer whose layer norms have no scale or shift left."""

    qkv: Linear
    out: Linear
    up: Linear
    down: Linear


class FoldedNet(NamedTuple):
    """Weights of one network ready for `forward`, on one device in one dtype (heads: float32)."""

    config: NetConfig
    embedded: Tensor  # [33330, d] embedding + position of every possible token
    first_qkv: Tensor  # [33330, 3d] first layer's projection of it
    layers: list[FoldedLayer]  # the first's qkv and the last's down are never called
    policy_x: Tensor  # [d] logit = policy_x . x + policy_f . f + policy_bias, where x is the
    policy_f: Tensor  # [ff] residual stream and f the last feed-forward activation of a token
    policy_bias: Tensor  # []
    value_x: Tensor  # [d/2, d] the same for the value head's first layer and the mean token
    value_f: Tensor  # [d/2, ff]
    value_bias: Tensor  # [d/2]
    value_out: Tensor  # [1, d/2]
    value_out_bias: Tensor  # [1]
    slot_order: Tensor  # int64[128, 36] by in-hand byte: the tokens, valid ones first, in order
    slot_place: Tensor  # int64[128, 7] by in-hand byte: place of each slot among valid tokens


def fold(
    config: NetConfig, weights: Mapping[str, Tensor], *, device: torch.device, dtype: torch.dtype
) -> FoldedNet:
    """Fold checked weights (`checkpoint.check_weights`). Computed in float32, stored in dtype."""
    moved = {name: w.to(device, torch.float32) for name, w in weights.items()}
    net = filled(V1Net, config, moved)
    net.eval()
    order, place = _slot_tables(device)
    with torch.no_grad():
        embedded = _embed_rows(net, device)
        encoder: list[Any] = list(net.encoder.layers)
        down, policy = encoder[-1].linear2, net.policy_proj
        head: list[Any] = list(net.value_head)
        value_in, value_out = head[0], head[2]
        return FoldedNet(
            config=config,
            embedded=embedded.to(dtype),
            first_qkv=_project_rows(embedded, *_first_map(encoder[0]), dtype=dtype),
            layers=[_fold_layer(layer, dtype) for layer in encoder],
            policy_x=policy.weight[0].clone(),
            policy_f=policy.weight[0] @ down.weight,
            policy_bias=policy.bias[0] + policy.weight[0] @ down.bias,
            value_x=value_in.weight.clone(),
            value_f=value_in.weight @ down.weight,
            value_bias=value_in.bias + value_in.weight @ down.bias,
            value_out=value_out.weight.clone(),
            value_out_bias=value_out.bias.clone(),
            slot_order=order,
            slot_place=place,
        )


def _fold_norm(norm: Any, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """(weight, bias) of a linear map that reads ``norm``, with its scale and shift moved in."""
    return weight * norm.weight, bias + weight @ norm.bias


def _first_map(layer: Any) -> tuple[Tensor, Tensor]:
    attention = layer.self_attn
    return _fold_norm(layer.norm1, attention.in_proj_weight, attention.in_proj_bias)


def _fold_layer(layer: Any, dtype: torch.dtype) -> FoldedLayer:
    out, up, down = layer.self_attn.out_proj, layer.linear1, layer.linear2
    return FoldedLayer(
        qkv=Linear(*_first_map(layer), dtype=dtype),
        out=Linear(out.weight, out.bias, dtype=dtype),
        up=Linear(*_fold_norm(layer.norm2, up.weight, up.bias), dtype=dtype),
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
        projected[i : i + _BUILD_ROWS] = F.linear(F.layer_norm(part, part.shape[-1:]), weight, bias)
    return projected


def _slot_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """(slot_order, slot_place) of FoldedNet; places of played slots and tails are 0."""
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


def table_rows(net: FoldedNet, raw: Tensor) -> Rows:
    """Look up records uint8[B, 36] on the device of ``net``; no host synchronisation."""
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
