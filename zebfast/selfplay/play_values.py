"""Play values: what each legal play of a decision is worth, packed where policy weights would be.

A teacher labels a decision with the final points of the player's side after each legal play, and
with how surely that side then has more than the other or, where the hand has a contract, makes or
sets it. One slot is one u2 of the ``policy`` field of GAME_DTYPE and EXAMPLE_DTYPE:

    0                                no label
    (eighths + 1) << 7 | balance     eighths = round(8 * mean final points, 0..42)
                                     balance = round(63 * (1 + mean sign(final points - 21)));
                                     with a contract the mean is of +1 where the side has its way
                                     with it, and else -1

A file says by its ``source`` that its games carry play values; examples say it by a flag.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.masks import has_choice
from zebfast.core.records import EXAMPLE_HAS_PLAY_VALUES, EXAMPLE_HAS_POLICY
from zebfast.rules import TOTAL_POINTS

POINT_STEPS = 8  # steps a point: mean points are known to an eighth
BALANCE_STEPS = 63  # steps from an even balance to a certain win or loss
BALANCE_BITS = 7

#: Utility that a policy logit of 1 stands for in a network that has learned play values. A won deal
#: against a lost one is 2 of utility, that is 20 of logit: enough for a policy that is sure where
#: the teacher is, in reach of a linear head.
TAU = 0.1
#: Utility of one point more than the other side: all 42 count for a fifth of a deal.
EPSILON = 0.01
#: The same where a contract is all that counts: enough for plays to differ once it is decided.
CONTRACT_EPSILON = 0.003

_MAX_EIGHTHS = POINT_STEPS * TOTAL_POINTS
_MAX_BALANCE = 2 * BALANCE_STEPS


def pack(points: ArrayLike, balance: ArrayLike) -> NDArray[np.uint16]:
    """Labels u2[...] of mean final points (0..42) and mean signs of (final points - 21) (-1..1).

    Raises:
        ValueError: something is out of range or not a number.
    """
    eighths = np.floor(POINT_STEPS * np.asarray(points, np.float64) + 0.5)  # halves go up, as in C
    steps = np.floor(BALANCE_STEPS * (1.0 + np.asarray(balance, np.float64)) + 0.5)
    if not np.all((eighths >= 0) & (eighths <= _MAX_EIGHTHS)):
        raise ValueError(f"points outside 0..{TOTAL_POINTS} cannot be packed")
    if not np.all((steps >= 0) & (steps <= _MAX_BALANCE)):
        raise ValueError("a balance outside -1..1 cannot be packed")
    labels: NDArray[np.uint16] = (
        (eighths.astype(np.uint16) + np.uint16(1)) << np.uint16(BALANCE_BITS)
    ) | steps.astype(np.uint16)
    return labels


def unpack(labels: NDArray[np.uint16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(mean final points f4[...], balance f4[...]) of labels u2[...]; both 0 where none is."""
    known = labels != 0
    eighths = (labels >> np.uint16(BALANCE_BITS)).astype(np.float32) - 1.0
    steps = (labels & np.uint16((1 << BALANCE_BITS) - 1)).astype(np.float32)
    points = np.where(known, eighths / POINT_STEPS, 0.0)
    balance = np.where(known, steps / BALANCE_STEPS - 1.0, 0.0)
    return points.astype(np.float32), balance.astype(np.float32)


def labelled_examples(examples: NDArray[np.void]) -> NDArray[np.void]:
    """Those of EXAMPLE_DTYPE[N] that are labelled, with the flag that says so, in their order.

    Args:
        examples: of games whose ``policy`` holds play values, as games_to_examples gives them:
            no illegal slot has a label.

    Raises:
        ValueError: nothing is labelled, a label is out of range, or a legal play has none or no
            alternative.
    """
    chosen = examples[examples["policy"].any(axis=1)].copy()
    if not len(chosen):
        raise ValueError("no decision is labelled; expected play values of one at least")
    labels, legal = chosen["policy"], chosen["obs"]["legal"]
    _require(
        (labels >> np.uint16(BALANCE_BITS) <= _MAX_EIGHTHS + 1)
        & (labels & np.uint16((1 << BALANCE_BITS) - 1) <= _MAX_BALANCE)
        & ((labels == 0) | (labels >> np.uint16(BALANCE_BITS) > 0)),
        f"points from 0 to {TOTAL_POINTS} and a balance from -1 to 1",
    )
    wanted = (legal[:, None] >> np.arange(7, dtype=np.uint8)) & 1 == 1
    _require((labels != 0) == wanted, "one for every legal play")
    _require(has_choice(legal), "decisions with two legal plays or more")
    chosen["flags"] &= np.uint16(~EXAMPLE_HAS_POLICY & 0xFFFF)
    chosen["flags"] |= np.uint16(EXAMPLE_HAS_PLAY_VALUES)
    return chosen


def _require(ok: NDArray[np.bool_], wanted: str) -> None:
    """ValueError naming the first labelled decision for which ``ok`` (first axis) does not hold."""
    rows = ok.reshape(len(ok), -1).all(axis=1)
    if not rows.all():
        raise ValueError(
            f"play values of labelled decision {int(np.argmin(rows))} cannot be; expected {wanted}"
        )
