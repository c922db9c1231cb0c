"""The two published heuristics, each as two preference tables.

A preference table holds one rank per (declaration, domino): among the legal dominoes the one with
the lowest rank is played, and equal ranks fall to the lowest slot, which is the lowest domino id.
That makes a heuristic for thousands of games one gather and one argmin.

Leading, `heuristic` plays its highest domino by pip sum, trumps first; `heuristic2` its first
double in slot order, else its lowest non-trump by pip sum, else its lowest. Following, both play
the legal domino with the least count, then the least pip sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.core.masks import domino_bits

ILLEGAL = np.uint8(255)  # above every rank
DOUBLES_AS_SUIT = 8
_MAX_SUM = 12


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
    lead = np.zeros((rules.N_DECLARATIONS, rules.N_DOMINOES), dtype=np.uint8)
    for decl in range(rules.N_DECLARATIONS):
        for domino in range(rules.N_DOMINOES):
            behind_trumps = 0 if _is_trump(domino, decl) else _MAX_SUM + 1
            lead[decl, domino] = behind_trumps + _MAX_SUM - _pip_sum(domino)
    return Preference(lead=lead, follow=_follow_ranks())


def heuristic2_preference() -> Preference:
    """`heuristic2`: first double, else lowest non-trump, else lowest; follow cheap and low."""
    lead = np.zeros((rules.N_DECLARATIONS, rules.N_DOMINOES), dtype=np.uint8)
    for decl in range(rules.N_DECLARATIONS):
        for domino in range(rules.N_DOMINOES):
            if _is_double(domino):
                continue  # rank 0 for all seven: the first in slot order is led
            behind_others = _MAX_SUM + 1 if _is_trump(domino, decl) else 0
            lead[decl, domino] = 1 + behind_others + _pip_sum(domino)
    return Preference(lead=lead, follow=_follow_ranks())


def _follow_ranks() -> NDArray[np.uint8]:
    """Least count first, then least pip sum; the declaration does not matter."""
    row = [
        rules.COUNT[domino] // 5 * (_MAX_SUM + 1) + _pip_sum(domino)
        for domino in range(rules.N_DOMINOES)
    ]
    return np.tile(np.array(row, dtype=np.uint8), (rules.N_DECLARATIONS, 1))


def _pip_sum(domino: int) -> int:
    return sum(rules.DOMINOES[domino])


def _is_double(domino: int) -> bool:
    high, low = rules.DOMINOES[domino]
    return high == low


def _is_trump(domino: int, decl: int) -> bool:
    """Whether the domino has trump power: the called suit has, except doubles as a plain suit."""
    return rules.in_called_suit(domino, decl) and decl != DOUBLES_AS_SUIT
