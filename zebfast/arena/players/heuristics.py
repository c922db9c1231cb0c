"""The two published heuristics, each as two preference tables.

A preference table holds one rank per (declaration, domino): among the legal dominoes the one with
the lowest rank is played, and equal ranks fall to the lowest slot, which is the lowest domino id.
That makes a heuristic for thousands of games one gather and one argmin.

Leading, `heuristic` plays its highest domino by pip sum, trumps first; `heuristic2` its first
double in slot order, else its lowest non-trump by pip sum, else its lowest. Following, both play
the legal domino with the least count, then the least pip sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.core.masks import domino_bits

ILLEGAL = np.uint8(255)  # above every rank
DOUBLES_AS_SUIT = 8
_MAX_SUM = 12
_SUMS = [sum(pips) for pips in rules.DOMINOES]


@dataclass(frozen=True)
class Preference:
    """Ranks u1[10, 28] by (declaration, domino) for leading and for following; lowest wins."""

    lead: NDArray[np.uint8]
    follow: NDArray[np.uint8]


def choose_preferred(
    *,
    preference: Preference,
    legal: NDArray[np.uint32],
    decl: NDArray[np.uint8],
    leading: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """The preferred legal domino of each row: u1[k] from legal u4[k], decl u1[k], leading bool[k].

    `legal` are 28-bit domino masks, none of them empty.
    """
    ranks = np.where(leading[:, None], preference.lead[decl], preference.follow[decl])
    ranks[~domino_bits(legal)] = ILLEGAL
    dominoes: NDArray[np.uint8] = ranks.argmin(axis=1).astype(np.uint8)
    return dominoes


def heuristic_preference() -> Preference:
    """`heuristic`: highest trump, else highest domino; follow cheap and low."""
    return _preference(
        lambda domino, trump: (0 if trump else _MAX_SUM + 1) + _MAX_SUM - _SUMS[domino]
    )


def heuristic2_preference() -> Preference:
    """`heuristic2`: first double, else lowest non-trump, else lowest; follow cheap and low."""

    def lead(domino: int, trump: bool) -> int:
        high, low = rules.DOMINOES[domino]
        if high == low:
            return 0  # for all seven: the first in slot order is led
        return 1 + (_MAX_SUM + 1 if trump else 0) + _SUMS[domino]

    return _preference(lead)


def _preference(lead_rank: Callable[[int, bool], int]) -> Preference:
    """Leading, by domino and whether it is a trump; following, least count, then least pip sum."""
    decls, dominoes = range(rules.N_DECLARATIONS), range(rules.N_DOMINOES)
    # The called suit has trump power, except doubles as a plain suit.
    lead = [
        [lead_rank(d, decl != DOUBLES_AS_SUIT and rules.in_called_suit(d, decl)) for d in dominoes]
        for decl in decls
    ]
    follow = [rules.COUNT[d] // 5 * (_MAX_SUM + 1) + _SUMS[d] for d in dominoes]
    return Preference(np.array(lead, np.uint8), np.array([follow] * len(decls), np.uint8))
