"""Packed observations: what makes one valid, and v1 tokens of one and into one.

Token 0 is the declaration, 1..7 the seven original slots (masked and zero once played), 8 + i is
play i.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.core.masks import count_dominoes, domino_bits
from zebfast.core.records import OBS_DTYPE
from zebfast.net.output import N_SLOTS
from zebfast.rules import (
    COUNT,
    DOMINOES,
    LEAST_BID,
    MOST_BID,
    N_DECLARATIONS,
    N_DOMINOES,
    N_PLIES,
    N_SEATS,
    PASSED,
)

N_TOKENS = 36
N_FEATURES = 8
FIRST_PLAY = 1 + N_SLOTS
TYPE_HAND, TYPE_PLAY = 1, 2  # the declaration's token is of type 0
COUNT_CLASS = {0: 0, 5: 1, 10: 2}


class Column(IntEnum):
    """The eight integers of a token."""

    HIGH = 0
    LOW = 1
    DOUBLE = 2
    COUNT = 3
    SEAT = 4
    IN_HAND = 5
    DECL = 6
    TYPE = 7


def domino_features() -> NDArray[np.int64]:
    """int64[28, 4]: high pip, low pip, is double, count class of every domino."""
    rows = [
        (high, low, int(high == low), COUNT_CLASS[COUNT[domino]])
        for domino, (high, low) in enumerate(DOMINOES)
    ]
    return np.array(rows, dtype=np.int64)


def check_observations(obs: NDArray[Any]) -> None:
    """ValueError naming the first record whose fields are out of range or contradict each other.

    Cheap enough for every batch: a bad record must not become an index into a table on a GPU.
    """
    in_hand, legal = obs["in_hand"], obs["legal"]
    ok = (obs["decl"] < N_DECLARATIONS) & (obs["n_plays"] < N_PLIES) & (in_hand < 1 << N_SLOTS)
    ok &= (legal != 0) & (legal & ~in_hand == 0)
    ok &= (obs["plays"] & 31 < N_DOMINOES).all(axis=1) & (count_dominoes(obs["hand"]) == N_SLOTS)
    ok &= (obs["plays"] < 128).all(axis=1)
    if obs["contract"]["bid"].any():
        ok &= possible_contracts(obs["contract"])
    if not ok.all():
        row = int(np.argmin(ok))
        raise ValueError(f"observation {row} is not one of a seat to play: {obs[row]}")


def possible_contracts(contracts: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of CONTRACT_DTYPE[N] have the numbers of a contract, or are none; bool[N]."""
    bids, calls = _is_bid(contracts["bid"]), contracts["calls"]
    seats = (contracts["bidder"] < N_SEATS) & (contracts["shaker"] < N_SEATS)
    called = ((calls <= PASSED) | _is_bid(calls)).all(axis=1)
    possible: NDArray[np.bool_] = (contracts["bid"] == 0) | (bids & seats & called)
    return possible


def _is_bid(calls: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (calls >= LEAST_BID) & (calls <= MOST_BID)


def pack_tokens(tokens: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Packed records OBS_DTYPE[N] of published observations.

    ``tokens`` int[N, 36, 8] and ``mask`` bool[N, 36] as in an example file; features of masked
    tokens are ignored, so a played slot may be zeroed or left in place. Which dominoes were legal
    cannot be known from tokens alone: ``legal`` is set equal to ``in_hand``.

    ValueError names the first row that no seat to play could have seen: features that belong to no
    domino, a gap in the plays, a seat out of turn, a domino twice, slots out of order.
    """
    tokens, mask = np.asarray(tokens), np.asarray(mask)
    n = tokens.shape[0]
    if tokens.shape != (n, N_TOKENS, N_FEATURES) or mask.shape != (n, N_TOKENS):
        raise ValueError(
            f"expected tokens [N, {N_TOKENS}, {N_FEATURES}] with a mask [N, {N_TOKENS}], "
            f"got {list(tokens.shape)} and {list(mask.shape)}"
        )
    if tokens.dtype.kind not in "iu" or mask.dtype != np.bool_:
        raise ValueError(f"tokens must be integers and the mask bool: {tokens.dtype}, {mask.dtype}")
    in_range = ((tokens >= 0) & (tokens < N_DECLARATIONS)).all(axis=2)
    _require((in_range | ~mask).all(axis=1), "has a feature outside 0..9")
    # Masked features mean nothing from here on; zero is a valid index everywhere.
    return _pack(np.where(mask[:, :, None], tokens, 0).astype(np.int64), mask)


def unpack_tokens(obs: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """v1 tokens int64[N, 36, 8] and mask bool[N, 36] (True = token counts) of OBS_DTYPE[N].

    Features of masked tokens are zero. ValueError for anything but a vector of observations.
    """
    if obs.dtype != OBS_DTYPE or obs.ndim != 1:
        raise ValueError(f"expected a vector of packed observations, not {obs.dtype}{obs.shape}")
    n, features = len(obs), domino_features()
    tokens = np.zeros((n, N_TOKENS, N_FEATURES), np.int64)
    mask = np.ones((n, N_TOKENS), np.bool_)
    mask[:, 1:FIRST_PLAY] = obs["in_hand"][:, None] >> np.arange(N_SLOTS) & 1
    mask[:, FIRST_PLAY:] = np.arange(N_PLIES) < obs["n_plays"][:, None]
    slots = np.nonzero(domino_bits(obs["hand"]))[1].reshape(n, N_SLOTS)
    plays = obs["plays"].astype(np.int64)
    tokens[:, :, Column.DECL] = obs["decl"][:, None]
    tokens[:, 1:FIRST_PLAY, : Column.COUNT + 1] = features[slots]
    tokens[:, 1:FIRST_PLAY, Column.IN_HAND] = 1
    tokens[:, 1:FIRST_PLAY, Column.TYPE] = TYPE_HAND
    tokens[:, FIRST_PLAY:, : Column.COUNT + 1] = features[plays & 31]
    tokens[:, FIRST_PLAY:, Column.SEAT] = plays >> 5
    tokens[:, FIRST_PLAY:, Column.TYPE] = TYPE_PLAY
    tokens *= mask[:, :, None]
    return tokens, mask


def slow_tokens(record: np.void) -> tuple[list[list[int]], list[bool]]:
    """Tokens (36 lists of 8) and mask (36) of one OBS_DTYPE record: the slow twin of all others."""
    hand, decl, n_plays = int(record["hand"]), int(record["decl"]), int(record["n_plays"])
    in_hand = int(record["in_hand"])
    tokens = [[0] * N_FEATURES for _ in range(N_TOKENS)]
    mask = [False] * N_TOKENS

    def put(index: int, domino: int | None, seat: int, held: int, kind: int) -> None:
        high, low = (0, 0) if domino is None else DOMINOES[domino]
        double = int(domino is not None and high == low)
        count = 0 if domino is None else COUNT_CLASS[COUNT[domino]]
        tokens[index] = [high, low, double, count, seat, held, decl, kind]
        mask[index] = True

    put(0, None, 0, 0, 0)
    slots = [d for d in range(N_DOMINOES) if hand >> d & 1]
    for slot, domino in enumerate(slots):
        if in_hand >> slot & 1:
            put(1 + slot, domino, 0, 1, TYPE_HAND)
    for i, play in enumerate(record["plays"][:n_plays]):
        put(FIRST_PLAY + i, int(play) & 31, int(play) >> 5, 0, TYPE_PLAY)
    return tokens, mask


def _require(ok: Any, problem: str) -> None:
    if not ok.all():
        raise ValueError(f"observation {int(np.argmin(ok))} {problem}")


def _pack(tokens: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[Any]:
    decl = tokens[:, 0, Column.DECL]
    domino = _domino_ids(tokens)
    n_plays = mask[:, FIRST_PLAY:].sum(axis=1)
    played = np.arange(N_PLIES) < n_plays[:, None]
    held = mask[:, 1:FIRST_PLAY]
    seat = tokens[:, FIRST_PLAY:, Column.SEAT]

    _require(mask[:, 0] & ~tokens[:, 0, : Column.DECL].any(axis=1), "lacks a declaration token")
    _require((mask[:, FIRST_PLAY:] == played).all(axis=1), "has a gap between its plays")
    kinds = np.repeat([0, TYPE_HAND, TYPE_PLAY], [1, N_SLOTS, N_PLIES])
    _check_features(tokens, mask, domino, kinds)
    _check_turns(seat, n_plays)

    bits = np.where(mask, np.int64(1) << domino, 0)
    bits[:, 0] = 0
    own_bits = np.where(seat == 0, bits[:, FIRST_PLAY:], 0).sum(axis=1)
    hand = bits[:, 1:FIRST_PLAY].sum(axis=1) | own_bits
    _require(
        count_dominoes(np.bitwise_or.reduce(bits, axis=1)) == mask[:, 1:].sum(axis=1),
        "shows a domino twice",
    )
    _require(count_dominoes(hand) == N_SLOTS, "does not account for seven dominoes of its own")
    _require(held.any(axis=1), "has nothing left to play")
    below = count_dominoes(hand[:, None] & (bits[:, 1:FIRST_PLAY] - 1))
    _require(((below == np.arange(N_SLOTS)) | ~held).all(axis=1), "has its slots out of order")

    obs = np.zeros(len(tokens), dtype=OBS_DTYPE)
    obs["hand"], obs["decl"], obs["n_plays"] = hand, decl, n_plays
    obs["in_hand"] = obs["legal"] = (held << np.arange(N_SLOTS)).sum(axis=1)
    obs["plays"] = np.where(played, domino[:, FIRST_PLAY:] | seat << 5, 0)
    return obs


def _domino_ids(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids by the pips alone, clipped into 0..27; `_check_features` finds the impossible ones."""
    high, low = tokens[..., Column.HIGH], tokens[..., Column.LOW]
    ids: NDArray[np.int64] = np.clip(high * (high + 1) // 2 + low, 0, N_DOMINOES - 1)
    return ids


def _check_features(
    tokens: NDArray[np.int64],
    mask: NDArray[np.bool_],
    domino: NDArray[np.int64],
    kinds: NDArray[np.int64],
) -> None:
    """Every unmasked token says what a token of its place must say."""
    ok = tokens[..., Column.DECL] == tokens[:, :1, Column.DECL]
    ok &= tokens[..., Column.TYPE] == kinds
    ok &= tokens[..., Column.IN_HAND] == (kinds == TYPE_HAND)
    ok &= np.where(kinds == TYPE_PLAY, tokens[..., Column.SEAT] < 4, tokens[..., Column.SEAT] == 0)
    same_domino = (tokens[..., : Column.COUNT + 1] == domino_features()[domino]).all(axis=2)
    ok &= same_domino | (kinds == 0)
    _require((ok | ~mask).all(axis=1), "has a token whose features contradict each other")


def _check_turns(seat: NDArray[np.int64], n_plays: NDArray[np.int64]) -> None:
    """Within a trick the seats follow each other, and the observer (seat 0) is next."""
    ply = np.arange(1, N_PLIES)
    due = (seat[:, :-1] + 1) % N_SEATS == seat[:, 1:]
    in_trick = (ply % N_SEATS != 0) & (ply < n_plays[:, None])
    _require((due | ~in_trick).all(axis=1), "has a play out of turn")
    last = np.take_along_axis(seat, np.maximum(n_plays - 1, 0)[:, None], axis=1)[:, 0]
    _require((n_plays % N_SEATS == 0) | (last == 3), "is not seen by the seat to play")
