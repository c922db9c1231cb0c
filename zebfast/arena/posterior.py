"""How likely the plays made so far were in a world: evidence about hidden hands beyond the voids.

The model: at each decision a seat saw all hands, and played domino d with probability proportional
to exp(-beta * regret(d)), where regret(d) is how many points its side gives away by d against its
best play, under best play by all afterwards. beta = 0 says nothing; a large one takes every seat
for a perfect player. That seats do not see all hands is the model's known flaw: it is meant to tell
worlds apart, not to predict plays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.core.engine import GameBatch
from zebfast.core.records import POSITION_DTYPE
from zebfast.core.solve import NO_PLAY
from zebfast.core.solver_pool import SolverPool


def _followers() -> NDArray[np.uint32]:
    """Masks of the dominoes that follow a lead, u4[10, 28] by (declaration, domino led)."""
    out = np.zeros((rules.N_DECLARATIONS, rules.N_DOMINOES), np.uint32)
    for decl in range(rules.N_DECLARATIONS):
        for lead in range(rules.N_DOMINOES):
            suit = rules.led_suit(lead, decl)
            out[decl, lead] = sum(
                1 << domino for domino in range(28) if rules.follows(domino, suit, decl)
            )
    return out


_FOLLOWERS = _followers()


@dataclass(frozen=True)
class _Decision:
    """One past play of one game, in those of its worlds where there was a choice.

    positions: POSITION_DTYPE[m]. game, worlds: where they belong in the answer, worlds intp[m].
    """

    positions: np.ndarray
    game: int
    worlds: NDArray[np.intp]
    seat: int
    domino: int


def log_likelihoods(
    batch: GameBatch,
    rows: NDArray[np.intp],
    hands: NDArray[np.uint32],
    *,
    real: NDArray[np.bool_],
    beta: float,
    pool: SolverPool,
) -> NDArray[np.float64]:
    """Log likelihood f8[k, n] of what the other seats have played, in n worlds of each game.

    hands u4[k, n, 4] are the layouts as they stand, seen by the seats to play, whose own plays do
    not count. Worlds that are not `real` bool[k, n] are left at 0.
    """
    out = np.zeros(hands.shape[:2], np.float64)
    decisions = [
        decision
        for game, row in enumerate(rows)
        for decision in _past_decisions(batch.take([row]), game, hands[game], real[game])
    ]
    if not decisions:
        return out
    values = pool.play_values(np.concatenate([one.positions for one in decisions]))
    ends = np.cumsum([len(one.positions) for one in decisions])[:-1]
    for one, found in zip(decisions, np.split(values, ends), strict=True):
        out[one.game, one.worlds] += _log_probabilities(found, one.seat, one.domino, beta)
    return out


def _past_decisions(
    game: GameBatch, number: int, hands: NDArray[np.uint32], real: NDArray[np.bool_]
) -> list[_Decision]:
    """The plays of seats other than the one to play, latest first, where a world gave a choice."""
    history, seats = game.history[0], game.seats[0]
    viewer, decl = int(game.to_play[0]), int(game.decl[0])
    held = hands.copy()  # as they were before the play looked at
    found = []
    for ply in reversed(range(int(game.n_plays[0]))):
        seat, domino = int(seats[ply]), int(history[ply])
        held[:, seat] |= np.uint32(1 << domino)
        if seat == viewer:
            continue
        first = ply - ply % 4
        table = history[first:ply]
        legal = held[:, seat]
        if len(table):
            following = legal & _FOLLOWERS[decl, table[0]]
            legal = np.where(following != 0, following, legal)
        worlds = np.flatnonzero(real & ((legal & (legal - np.uint32(1))) != 0))
        if not len(worlds):
            continue
        positions = np.zeros(len(worlds), POSITION_DTYPE)
        positions["hands"] = held[worlds]
        positions["decl"], positions["leader"] = decl, seats[first]
        positions["n_table"] = len(table)
        positions["table"][:, : len(table)] = table
        found.append(_Decision(positions, number, worlds, seat, domino))
    return found


def _log_probabilities(
    values: NDArray[np.int8], seat: int, domino: int, beta: float
) -> NDArray[np.float64]:
    """Log probability f8[m] of the play, from play values i1[m, 28] (team 0 minus team 1)."""
    # A point more for one side is a point less for the other: it moves the difference by two.
    own = values.astype(np.float64) * (-0.5 if seat & 1 else 0.5)
    own[values == NO_PLAY] = -np.inf
    scaled = beta * (own - own.max(axis=1, keepdims=True))
    logs: NDArray[np.float64] = scaled[:, domino] - np.log(np.exp(scaled).sum(axis=1))
    return logs
