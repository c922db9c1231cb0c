"""Rollouts: what every legal play of a decision leads to in worlds that its player thinks possible.

In each world each play is made, and the game goes on with the network's favourite plays of all
four seats, each of which sees only its own hand (Tesauro & Galperin 1996). What a play is worth
against players like the network is its average over worlds; no seat peeks, so that unlike
averages over open hands the answer knows what hiding and finding out are worth. From a point on
the hands may be opened and the rest solved exactly: near the end that costs little and says much
the same; earlier it is postponed resolution (Arjonilla, Saffidine & Cazenave 2024, EPIMC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.heuristics import mask_bits
from zebfast.core.engine import GameBatch
from zebfast.core.lanes import Lanes
from zebfast.core.records import OBS_DTYPE
from zebfast.core.solve import positions_of

if TYPE_CHECKING:  # players of this kind need torch, this file does not
    from zebfast.core.solver_pool import SolverPool
    from zebfast.selfplay.games import Evaluator

PLIES, PLIES_A_TRICK = 28, 4


@dataclass(frozen=True)
class Rollouts:
    """How games are played to their end.

    Attributes:
        evaluator: whose favourites are played.
        pool: solves the rest once hands are open; the caller owns it.
        exact_tricks: hands are open for so many last tricks, 0..7.
        depth: hands are open after so many tricks from the one on the table on, which counts; None
            for no such limit.
    """

    evaluator: Evaluator
    pool: SolverPool
    exact_tricks: int
    depth: int | None = None

    def margins(self, worlds: GameBatch, plays: NDArray[np.uint32]) -> NDArray[np.float32]:
        """Final points of the side to play less those of the other after each play.

        Args:
            worlds: m games that are not over, every hand as it is in a world.
            plays: u4[m], masks of legal dominoes to be tried in each.

        Returns:
            f4[m, 28] by domino, NaN for dominoes that are not tried.
        """
        tried = mask_bits(plays)
        at, dominoes = np.nonzero(tried)
        sides = worlds.to_play[at] & 1
        games = worlds.take(at)
        until = self._until(games.n_plays)
        games.play(dominoes.astype(np.uint8))
        ended = self._played_on(games, until)
        points = ended.points.astype(np.float32)
        margins = points[:, 0] - points[:, 1]
        rest = np.flatnonzero(~ended.over)
        if len(rest):
            margins[rest] += self.pool.values(positions_of(ended, rest))
        out = np.full(tried.shape, np.nan, np.float32)
        out[at, dominoes] = np.where(sides == 0, margins, -margins)
        return out

    def _until(self, n_plays: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Plays made when hands are opened, int64[n], for decisions after n_plays u1[n]."""
        last = np.full(len(n_plays), PLIES - PLIES_A_TRICK * self.exact_tricks)
        if self.depth is None:
            return last
        trick = n_plays.astype(np.int64) // PLIES_A_TRICK
        opened: NDArray[np.int64] = np.minimum(last, PLIES_A_TRICK * (trick + self.depth))
        return opened

    def _played_on(self, games: GameBatch, until: NDArray[np.int64]) -> GameBatch:
        lanes = Lanes(games, until=until)
        observations = np.empty(len(games), OBS_DTYPE)
        evals = np.empty((len(games), 8), np.float32)
        while n := lanes.advance(observations):
            self.evaluator.evaluate(observations[:n], evals[:n])
            lanes.play_favourites(evals[:n])
        return lanes.games
