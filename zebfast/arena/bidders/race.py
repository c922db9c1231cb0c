"""The race to seven marks: what chance the marks of both sides leave, by how played hands end.

Source of the method: value iteration (R. Bellman, "Dynamic Programming", 1957) over the states
(marks that the own side lacks, marks that the other lacks, whose side shakes).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.bidders.auctions import Auctions
from zebfast.arena.bidders.worth import AWARDS

MOST_LACKING = 7  # marks; who lacks more is taken to lack so many
_TOLERANCE = 1e-12
_MOST_SWEEPS = 10_000


def race_table(hands: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(own side wins) f8[7, 7, 2] by marks lacking less one, own and other, and shaker (1: own).

    hands: chances f8[5] of AWARDS to the side that shakes. ValueError where they are none, or all
    hands are thrown in.
    """
    if hands.shape != (len(AWARDS),) or not (hands >= 0).all() or abs(hands.sum() - 1) > 1e-6:
        raise ValueError(f"these are no chances of {len(AWARDS)} awards: {hands.tolist()}")
    if hands[AWARDS.index(0)] > 0.99:
        raise ValueError("hands that are all thrown in never end")
    table = np.full((MOST_LACKING, MOST_LACKING, 2), 0.5)
    for _ in range(_MOST_SWEEPS):
        before = table.copy()
        for own in range(MOST_LACKING):
            for other in range(MOST_LACKING):
                for shakes in range(2):
                    awards = AWARDS if shakes else [-award for award in AWARDS]
                    table[own, other, shakes] = sum(
                        chance * _after(table, own + 1, other + 1, award, 1 - shakes)
                        for chance, award in zip(hands, awards, strict=True)
                    )
        if np.abs(table - before).max() < _TOLERANCE:
            return table
    raise ValueError("the race did not settle")


def _after(table: NDArray[np.float64], own: int, other: int, award: int, shakes: int) -> float:
    if award >= own or -award >= other:
        return float(award >= own)
    return float(table[own - max(award, 0) - 1, other - max(-award, 0) - 1, shakes])


def chance_after(
    table: NDArray[np.float64], auctions: Auctions, awards: Sequence[int] = AWARDS
) -> NDArray[np.float64]:
    """P(own side wins) f8[k, len(awards)] once the hand has brought it so many marks."""
    lacking = np.clip(auctions.target[:, None] - auctions.marks, 1, MOST_LACKING).astype(np.intp)
    brought = np.array(awards)
    own = lacking[:, :1] - np.maximum(brought, 0)
    other = lacking[:, 1:] - np.maximum(-brought, 0)
    shakes_next = 1 - auctions.position.astype(np.intp)[:, None] % 2  # the seat behind the shaker
    found = table[np.maximum(own, 1) - 1, np.maximum(other, 1) - 1, shakes_next]
    return np.where(own <= 0, 1.0, np.where(other <= 0, 0.0, found))
