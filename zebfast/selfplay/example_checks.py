"""Checks of published observations, vectorised over the rows of an example file."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zebfast.rules import DECLARATIONS, follows, led_suit
from zebfast.selfplay.examples import BadExampleFile

Array: TypeAlias = NDArray[Any]
_DOMINOES = np.arange(28, dtype=np.uint32)


def check_history(obs: NDArray[np.void], first: int) -> None:
    """Every play once, in turn, own plays out of the own hand and no others."""
    plays, n_plays = obs["plays"], obs["n_plays"].astype(np.int64)
    index = np.arange(28)
    made = index < n_plays[:, None]
    domino, seat = plays & 31, plays >> 5
    seen = np.where(made, np.uint32(1) << np.minimum(domino, 27).astype(np.uint32), 0)
    distinct = count_dominoes(np.bitwise_or.reduce(seen, axis=1)) == n_plays
    require(distinct, "observations", "every domino played once", first)
    own = (obs["hand"][:, None] >> domino.astype(np.uint32)) & 1 == 1
    require(~made | (own == (seat == 0)), "observations", "each seat playing its own", first)
    within = (index % 4 != 0) & made
    in_turn = seat == (np.roll(seat, 1, axis=1) + 1) % 4
    require(~within | in_turn, "observations", "seats playing in turn", first)
    last = seat[np.arange(len(obs)), np.maximum(n_plays - 1, 0)]
    require((n_plays % 4 == 0) | (last == 3), "observations", "the observer to play", first)
    own_plays = ((seat == 0) & made).sum(axis=1)
    in_hand = count_dominoes(obs["in_hand"].astype(np.uint32))
    require(in_hand + own_plays == 7, "hand_masks", "what has not been played", first)


def legal_slots(obs: NDArray[np.void]) -> NDArray[np.uint8]:
    """Bits of the slots that may be played; the tokens themselves do not say."""
    hand = domino_bits(obs["hand"])
    slots = np.nonzero(hand)[1].reshape(len(obs), 7)
    in_hand = (obs["in_hand"][:, None] >> np.arange(7) & 1).astype(bool)
    led_at = obs["n_plays"].astype(np.int64) // 4 * 4
    led = obs["plays"][np.arange(len(obs)), np.minimum(led_at, 27)] & 31
    following = (_follow_table()[obs["decl"], led][np.arange(len(obs))[:, None], slots]) & in_hand
    bound = (obs["n_plays"] % 4 != 0) & following.any(axis=1)
    legal = np.where(bound[:, None], following, in_hand)
    packed: NDArray[np.uint8] = (legal << np.arange(7)).sum(axis=1).astype(np.uint8)
    return packed


@cache
def _follow_table() -> NDArray[np.bool_]:
    """bool[declaration, led domino, domino]: the domino is of the led suit."""
    table = np.zeros((len(DECLARATIONS), 28, 28), np.bool_)
    for decl in range(len(DECLARATIONS)):
        for lead in range(28):
            suit = led_suit(lead, decl)
            table[decl, lead] = [follows(domino, suit, decl) for domino in range(28)]
    return table


def domino_bits(masks: Array) -> NDArray[np.bool_]:
    """u4[N] -> bool[N, 28]."""
    return (masks[:, None] >> _DOMINOES & 1).astype(bool)


def count_dominoes(masks: Array) -> Array:
    """Set bits of u4[N]."""
    counts: Array = domino_bits(masks).sum(axis=1)
    return counts


def require(ok: Array, name: str, wanted: str, first: int) -> None:
    """BadExampleFile naming the first row where ``ok`` (first axis = rows) does not hold."""
    rows = ok.reshape(len(ok), -1).all(axis=1)
    if not rows.all():
        row = first + int(np.argmin(rows))
        raise BadExampleFile(f"{name} of example {row} cannot be; expected {wanted}")
