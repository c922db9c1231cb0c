"""v2 features from packed observations (44 bytes each), see `net.features`.

`expand` is the batched reference on any device; csrc/v2_features.h is its twin for the CPU, bit for
bit, which `first_layer` goes through.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zebfast.core import features as kernels
from zebfast.core.records import OBS_DTYPE
from zebfast.net.features import (
    GROUPS,
    MOST_MARKS,
    MOST_NEEDED,
    N_BIDS,
    N_BITS,
    N_CALLS,
    N_HAND_BITS,
    N_SUITS,
    START,
    call_kind,
)
from zebfast.net.output import N_OTHER_SEATS
from zebfast.net.torch.encoding import Fields, bit_columns, unpack
from zebfast.rules import (
    CALLED_SUIT,
    COUNT,
    HALF_POINTS,
    LEAST_BID,
    MARK,
    N_DECLARATIONS,
    N_DOMINOES,
    N_PLIES,
    N_SEATS,
    N_TRICKS,
    TOTAL_POINTS,
    follows,
    led_suit,
    rank,
)


class FeatureBatch(NamedTuple):
    """Expanded observations of a batch of B."""

    features: Tensor  # float32[B, n_bits] of zeros and ones
    slots: Tensor  # int64[B, 7] domino of every slot
    in_hand: Tensor  # bool[B, 7]
    legal: Tensor  # bool[B, 7]
    aim: Tensor  # int64[B, 2]: points with which the observer's side has won, and has lost


class _Rules(NamedTuple):
    """The rules as tensors on one device."""

    domino_count: Tensor  # int64[28]
    led_suit: Tensor  # int64[10, 28]
    follows: Tensor  # bool[10, 8, 28] domino belongs to the led suit
    rank: Tensor  # int64[10, 8, 28] strength in a trick
    beats: Tensor  # bool[10, 28, 28] second domino beats a lead of the first
    beats_in_suit: Tensor  # bool[10, 28, 28] and belongs to the suit led


@cache
def _rules(device: torch.device) -> _Rules:
    dominoes, decls = range(N_DOMINOES), range(N_DECLARATIONS)
    suit = torch.tensor([[led_suit(d, decl) for d in dominoes] for decl in decls])
    follow = torch.tensor(
        [[[follows(d, s, decl) for d in dominoes] for s in range(N_SUITS)] for decl in decls]
    )
    strength = torch.tensor(
        [[[rank(d, s, decl) for d in dominoes] for s in range(N_SUITS)] for decl in decls]
    )
    by_lead = strength[torch.arange(N_DECLARATIONS).unsqueeze(1), suit]
    beats = by_lead > by_lead.diagonal(dim1=1, dim2=2).unsqueeze(2)
    in_suit = beats & follow[torch.arange(N_DECLARATIONS).unsqueeze(1), suit]
    tables = (torch.tensor(COUNT), suit, follow, strength, beats, in_suit)
    return _Rules(*(t.to(device) for t in tables))


class _Bits:
    """A batch of rows of zeros in which bits are set.

    Eight columns follow the bits: the first takes what is not to be set, and with all of them rows
    lie as matrix products on a GPU like them.
    """

    def __init__(self, n: int, n_bits: int, device: torch.device) -> None:
        self.n_bits = n_bits
        self.rows = torch.zeros(n, n_bits + 8, device=device)

    def set(self, group: str, index: Tensor, where: Tensor) -> None:
        """Set bit ``index`` (int64[B, K]) of the group where ``where`` (bool[B, K])."""
        self.rows.scatter_(1, torch.where(where, START[group] + index, self.n_bits), 1.0)

    def one(self, group: str, index: Tensor) -> None:
        """Set bit ``index`` int64[B] of the group."""
        self.rows.scatter_(1, (START[group] + index).unsqueeze(1), 1.0)

    def fill(self, group: str, bits: Tensor) -> None:
        """Write a whole group, bool[B, ...]."""
        self.rows[:, START[group] : START[group] + GROUPS[group]] = bits.flatten(1).float()


class _Table(NamedTuple):
    """The trick on the table; zeros where the observer leads."""

    place: Tensor  # int64[B] dominoes on it
    suit: Tensor  # int64[B]
    best_rank: Tensor  # int64[B]
    winner: Tensor  # int64[B] relative seat
    on_it: Tensor  # int64[B] count dominoes' points
    us: Tensor  # int64[B] points taken so far
    them: Tensor  # int64[B]


def expand(raw: Tensor, n_bits: int = N_BITS) -> FeatureBatch:
    """Expand packed records uint8[B, 44] on the device where they are; no host synchronisation.

    ``n_bits``: N_BITS, or N_HAND_BITS for all but those of contracts.
    """
    fields, rules = unpack(raw), _rules(raw.device)
    # A row of zeros, which pads a batch on a device, has no slots: let it index what there is.
    fields = fields._replace(slots=fields.slots.clamp(max=N_DOMINOES - 1))
    ids = torch.arange(N_DOMINOES, device=raw.device)
    in_hand, legal = bit_columns(fields.in_hand), bit_columns(fields.legal)
    bits = _Bits(raw.shape[0], n_bits, raw.device)
    bits.set("held", fields.slots, in_hand)
    bits.set("legal", fields.slots, legal)

    domino, seat = fields.plays & 31, fields.plays >> 5
    made = torch.arange(N_PLIES, device=raw.device) < fields.n_plays.unsqueeze(1)
    trick = torch.arange(N_PLIES, device=raw.device) // N_SEATS
    on_table = made & (trick == (fields.n_plays // N_SEATS).unsqueeze(1))
    leads = torch.arange(N_PLIES, device=raw.device) % N_SEATS == 0
    bits.set("played", seat * N_DOMINOES + domino, made)
    bits.set("table", (seat - 1) * N_DOMINOES + domino, on_table)
    bits.set("when", trick * N_DOMINOES + domino, made)
    bits.set("led", domino, made & leads)

    # Bits of all plays as one sum: no domino is played twice.
    played = (made * (1 << domino)).sum(1)
    dealt = (1 << fields.slots).sum(1)
    unseen = ((played | dealt).unsqueeze(1) >> ids) & 1 == 0
    table = _tricks(bits, fields, rules, made, domino, seat)
    _voids(bits, fields, rules, made & ~leads, domino, seat, unseen)
    _winners(bits, fields, rules, table, in_hand, legal, unseen)

    called = rules.follows[fields.decl, CALLED_SUIT]
    bits.set("called_held", fields.slots, in_hand & called.gather(1, fields.slots))
    bits.fill("called_unseen", called & unseen)
    bits.one("decl", fields.decl)
    bits.one("trick", fields.n_plays // N_SEATS)
    bits.one("place", table.place)
    bits.one("first_leader", fields.plays[:, 0] >> 5)
    aims = contract_aims(fields.contract)
    if n_bits > N_HAND_BITS:
        _contract(bits, fields.contract, table, aims)
    return FeatureBatch(bits.rows[:, :n_bits], fields.slots, in_hand, legal, aims)


class PackedBatch(NamedTuple):
    """Observations of a batch of B on the CPU whose features `first_layer` reads by itself."""

    raw: Tensor  # uint8[B, 44]
    slots: Tensor  # as in FeatureBatch
    in_hand: Tensor
    legal: Tensor
    aim: Tensor


def leave_packed(raw: Tensor) -> PackedBatch:
    """Packed records uint8[B, 44] on the CPU, which need not be contiguous."""
    fields = unpack(raw)
    return PackedBatch(
        raw,
        fields.slots,
        bit_columns(fields.in_hand),
        bit_columns(fields.legal),
        contract_aims(fields.contract),
    )


def first_layer(raw: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``linear(expand(raw, n_bits).features, weight, bias)`` on the CPU, with gradients.

    A row of the first layer is added for each bit that is set, some 53 of all, and as few rows get
    a gradient, always in float32: a quarter of what the product takes in bf16.

    Args:
        raw: uint8[B, 44].
        weight: float32[W, n_bits]; W is a multiple of 16.
        bias: float32[W].

    Raises:
        ValueError: a record is not what a seat to play can see.
    """
    out: Tensor = _FirstLayer.apply(raw, weight, bias)  # type: ignore[no-untyped-call]
    return out


class _FirstLayer(torch.autograd.Function):
    """`core.features.first_layer` and its gradient."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.obs = raw.contiguous().numpy().view(OBS_DTYPE).ravel()
        ctx.n_bits = weight.shape[1]
        out = np.empty((len(ctx.obs), len(bias)), np.float32)
        table = weight.detach().t().contiguous().numpy()
        kernels.first_layer(ctx.obs, table, bias.detach().contiguous().numpy(), out)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        (gradient,) = gradients
        of_table = np.zeros((ctx.n_bits, gradient.shape[1]), np.float32)
        kernels.first_gradient(ctx.obs, gradient.contiguous().numpy(), of_table)
        return None, torch.from_numpy(of_table).t(), gradient.sum(0)


def contract_aims(contract: Tensor) -> Tensor:
    """Points int64[B, 2] with which the observer's side has won, and has lost, of int64[B, 8]."""
    bid, bidder = contract[:, 0], contract[:, 1]
    make = bid.clamp(max=TOTAL_POINTS)
    won = torch.where(bidder % 2 == 0, make, TOTAL_POINTS + 1 - make)
    played_for = (bid > 0).unsqueeze(1)
    by_contract = torch.stack([won, won - 1], 1)
    half = torch.tensor([HALF_POINTS + 1, HALF_POINTS - 1], device=contract.device)
    return torch.where(played_for, by_contract, half)


def _contract(bits: _Bits, contract: Tensor, table: _Table, aims: Tensor) -> None:
    """Set what the hand is played for, and what is still needed."""
    bid, bidder, shaker, marks = contract[:, :4].unbind(1)
    one = torch.zeros_like(bid)
    there = bid > 0

    def put(group: str, index: Tensor, where: Tensor = there) -> None:
        bits.set(group, index.unsqueeze(1), (there & where).unsqueeze(1))

    put("bid", (bid - LEAST_BID).clamp(0, N_BIDS - 1))
    put("all", one, bid >= MARK)
    put("declaring", one, bidder % 2 == 0)
    put("bidder", bidder)
    put("shaker", shaker)
    ours = aims[:, 0]
    needs = ((ours - table.us).clamp(min=0), (TOTAL_POINTS + 1 - ours - table.them).clamp(min=0))
    for side, (group, need) in enumerate(zip(("we_need", "they_need"), needs, strict=True)):
        put(group, need.clamp(max=MOST_NEEDED))
        for i in range(3):
            put("enough", one + 3 * side + i, 1 + 5 * i + table.on_it >= need)
        shown = (marks >> 4 * side & 15).clamp(max=MOST_MARKS)
        put("marks", (MOST_MARKS + 1) * side + shown)
    kinds = _call_kinds(contract.device)
    for seat, call in enumerate(contract[:, 4:].unbind(1)):
        put("call", N_CALLS * seat + kinds[call], call > 0)


@cache
def _call_kinds(device: torch.device) -> Tensor:
    return torch.tensor([call_kind(call) for call in range(256)], device=device)


def _tricks(
    bits: _Bits, fields: Fields, rules: _Rules, made: Tensor, domino: Tensor, seat: Tensor
) -> _Table:
    """Set what the tricks so far amount to; returns the one on the table."""
    by_trick = (-1, N_TRICKS, N_SEATS)
    suit = rules.led_suit[fields.decl].gather(1, domino)[:, ::N_SEATS]
    suits = suit.repeat_interleave(N_SEATS, dim=1)
    ranks = rules.rank[fields.decl.unsqueeze(1), suits, domino] * made
    best_rank, best = ranks.view(by_trick).max(2)
    winner = seat.view(by_trick).gather(2, best.unsqueeze(2)).squeeze(2)
    count = (rules.domino_count[domino] * made).view(by_trick).sum(2)
    done = made.view(by_trick)[:, :, -1]
    ours = done & (winner % 2 == 0)
    us = ((count + 1) * ours).sum(1)
    them = ((count + 1) * (done & ~ours)).sum(1)
    bits.one("us", us)
    bits.one("them", them)
    bits.fill("won", us.unsqueeze(1) > HALF_POINTS)
    bits.fill("lost", them.unsqueeze(1) > HALF_POINTS)

    now = (fields.n_plays // N_SEATS).unsqueeze(1)
    place = fields.n_plays % N_SEATS
    follower = place > 0
    suit, best_rank, winner, count = (
        t.gather(1, now).squeeze(1) * follower for t in (suit, best_rank, winner, count)
    )
    table = _Table(place, suit, best_rank, winner, count, us, them)
    bits.set("led_suit", table.suit.unsqueeze(1), follower.unsqueeze(1))
    bits.one("winning", table.winner)
    bits.set("table_count", table.on_it.unsqueeze(1) // 5, follower.unsqueeze(1))
    return table


def _voids(
    bits: _Bits,
    fields: Fields,
    rules: _Rules,
    followed: Tensor,
    domino: Tensor,
    seat: Tensor,
    unseen: Tensor,
) -> None:
    """Set which suits the others have shown not to hold, and the dominoes that leaves out."""
    suit = rules.led_suit[fields.decl].gather(1, domino)[:, ::N_SEATS]
    suits = suit.repeat_interleave(N_SEATS, dim=1)
    off = followed & ~rules.follows[fields.decl.unsqueeze(1), suits, domino]
    bits.set("void", (seat - 1) * N_SUITS + suits, off & (seat > 0))
    first = START["void"]
    voids = bits.rows[:, first : first + GROUPS["void"]].view(-1, N_OTHER_SEATS, N_SUITS)
    lacks = (voids.bool().unsqueeze(3) & rules.follows[fields.decl].unsqueeze(1)).any(2)
    bits.fill("cannot", lacks & unseen.unsqueeze(1))


def _winners(
    bits: _Bits,
    fields: Fields,
    rules: _Rules,
    table: _Table,
    in_hand: Tensor,
    legal: Tensor,
    unseen: Tensor,
) -> None:
    """Set which of the observer's dominoes would win, and whether the table's best is safe."""
    decl = fields.decl.unsqueeze(1)
    by_any = (rules.beats[decl, fields.slots] & unseen.unsqueeze(1)).any(2)
    by_suit = (rules.beats_in_suit[decl, fields.slots] & unseen.unsqueeze(1)).any(2)
    bits.set("sure", fields.slots, in_hand & ~by_any)
    bits.set("boss", fields.slots, in_hand & ~by_suit)
    better = rules.rank[fields.decl, table.suit] > table.best_rank.unsqueeze(1)
    follower = (table.place > 0).unsqueeze(1)
    bits.set("beats", fields.slots, legal & follower & better.gather(1, fields.slots))
    bits.fill("safe", follower & ~(better & unseen).any(1, keepdim=True))
