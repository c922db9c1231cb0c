"""v1 tokens from packed observations (44 bytes each), on any device: see `packing`."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zebfast.core.records import OBS_DTYPE
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
from zebfast.rules import N_DOMINOES, N_PLIES


class TokenBatch(NamedTuple):
    """Expanded observations of a batch of B."""

    tokens: Tensor  # int64[B, 36, 8]
    mask: Tensor  # bool[B, 36], True = token counts
    hand_indices: Tensor  # int64[B, 7], always 1..7
    in_hand: Tensor  # bool[B, 7]
    legal: Tensor  # bool[B, 7]


@cache
def _device_domino_features(device: torch.device) -> Tensor:
    return torch.from_numpy(domino_features()).to(device)


def record_bytes(obs: NDArray[Any]) -> Tensor:
    """View OBS_DTYPE[B] as uint8[B, 44] on the CPU; a copy only if not contiguous or read-only."""
    if obs.dtype != OBS_DTYPE or obs.ndim != 1:
        raise ValueError(f"expected a vector of packed observations, not {obs.dtype}{obs.shape}")
    flat = np.require(obs, requirements=["C", "W"]).view(np.uint8)
    return torch.from_numpy(flat.reshape(len(obs), OBS_DTYPE.itemsize))


class Fields(NamedTuple):
    """The fields of packed records as int64 tensors on the records' device."""

    slots: Tensor  # [B, 7] domino of every slot
    decl: Tensor  # [B]
    n_plays: Tensor  # [B]
    legal: Tensor  # [B] bits
    in_hand: Tensor  # [B] bits
    plays: Tensor  # [B, 28] domino | relative seat << 5
    contract: Tensor  # [B, 8] bid, bidder, shaker, marks, four calls


def unpack(raw: Tensor) -> Fields:
    """uint8[B, 44] -> fields; no host synchronisation.

    A hand mask must have exactly seven bits (`check_observations`).
    """
    wide = raw.to(torch.int64)
    hand = wide[:, 0] | wide[:, 1] << 8 | wide[:, 2] << 16 | wide[:, 3] << 24
    ids = torch.arange(N_DOMINOES, device=raw.device)
    held = (hand.unsqueeze(1) >> ids) & 1
    # The seven set bits in ascending order, with a static shape: the largest keys first.
    keys = torch.topk(held * (N_DOMINOES - ids), N_SLOTS, dim=1).values
    slots, plays = N_DOMINOES - keys, wide[:, 8 : 8 + N_PLIES]
    contract = wide[:, 8 + N_PLIES :]
    return Fields(slots, wide[:, 4], wide[:, 5], wide[:, 6], wide[:, 7], plays, contract)


def bit_columns(bits: Tensor) -> Tensor:
    """int64[B] -> bool[B, 7], column s = bit s."""
    shifts = torch.arange(N_SLOTS, device=bits.device)
    return (bits.unsqueeze(1) >> shifts & 1).bool()


def expand(raw: Tensor) -> TokenBatch:
    """Expand packed records uint8[B, 44] to v1 tokens on the device where they are."""
    fields = unpack(raw)
    n, device = raw.shape[0], raw.device
    table = _device_domino_features(device)
    in_hand = bit_columns(fields.in_hand)
    played = torch.arange(N_PLIES, device=device) < fields.n_plays.unsqueeze(1)
    mask = torch.cat([torch.ones(n, 1, dtype=torch.bool, device=device), in_hand, played], dim=1)

    tokens = torch.zeros(n, N_TOKENS, N_FEATURES, dtype=torch.int64, device=device)
    tokens[:, :, Column.DECL] = fields.decl.unsqueeze(1)
    tokens[:, 1:FIRST_PLAY, : Column.COUNT + 1] = table[fields.slots]
    tokens[:, 1:FIRST_PLAY, Column.IN_HAND] = 1
    tokens[:, 1:FIRST_PLAY, Column.TYPE] = TYPE_HAND
    tokens[:, FIRST_PLAY:, : Column.COUNT + 1] = table[fields.plays & 31]
    tokens[:, FIRST_PLAY:, Column.SEAT] = fields.plays >> 5
    tokens[:, FIRST_PLAY:, Column.TYPE] = TYPE_PLAY
    tokens *= mask.unsqueeze(-1)
    hand_indices = torch.arange(1, FIRST_PLAY, device=device).expand(n, -1)
    return TokenBatch(tokens, mask, hand_indices, in_hand, bit_columns(fields.legal))
