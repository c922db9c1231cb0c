"""Rollouts: what every legal play of a decision leads to in worlds that its player thinks possible.

In each world each play is made, and the game goes on with the network's favourite plays of all
four seats, each of which sees only its own hand (Tesauro & Galperin 1996). What a play is worth
against players like the network is its average over worlds; no seat peeks, so that unlike
averages over open hands the answer knows what hiding and finding out are worth.

A rollout need not go to the end. Near it the hands may be opened and the rest solved exactly: that
costs little and says much the same; earlier it is postponed resolution (Arjonilla, Saffidine &
Cazenave 2024, EPIMC). Or it is truncated, as theirs of 1996: where the player has its next choice,
the network says what the game is worth to one who knows what the player then knows. That leaves
less to chance, and to do.
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
from zebfast.selfplay.play_values import EPSILON

if TYPE_CHECKING:  # players of this kind need torch, this file does not
    from zebfast.core.solver_pool import SolverPool
    from zebfast.selfplay.games import Evaluator

PLIES, PLIES_A_TRICK = 28, 4


@dataclass(frozen=True)
class Rollouts:
    """How games are played on, and what they are worth.

    A game is worth its sign and EPSILON for each point ahead, as in what networks learn; a rollout
    truncated by value the network's value, or else the sign alone, which is what that is a mean of.

    Attributes:
        evaluator: whose favourites are played.
        pool: solves the rest once hands are open; the caller owns it.
        exact_tricks: hands are open for so many last tricks, 0..7.
        depth: tricks from the one on the table on, which counts, that are played before hands are
            opened, or before a choice of the player is valued; None for no such limit.
        by_value: which of the two.
    """

    evaluator: Evaluator
    pool: SolverPool
    exact_tricks: int
    depth: int | None = None
    by_value: bool = False

    def utilities(self, worlds: GameBatch, plays: NDArray[np.uint32]) -> NDArray[np.float32]:
        """What each play is worth to the side to play.

        Args:
            worlds: m games that are not over, every hand as it is in a world.
            plays: u4[m], masks of legal dominoes to be tried in each.

        Returns:
            f4[m, 28] by domino, NaN for dominoes that are not tried.
        """
        tried = mask_bits(plays)
        at, dominoes = np.nonzero(tried)
        games = worlds.take(at)
        players, before = games.to_play, games.n_plays.astype(np.int64)
        games.play(dominoes.astype(np.uint8))
        out = np.full(tried.shape, np.nan, np.float32)
        out[at, dominoes] = self._worth(games, players, before)
        return out

    def _worth(
        self, games: GameBatch, players: NDArray[np.uint8], before: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Utilities f4[n] for the sides of players u1[n], whose play came after `before` i8[n]."""
        last = np.full(len(games), PLIES - PLIES_A_TRICK * self.exact_tricks)
        limit = last
        if self.depth is not None:
            limit = np.minimum(last, PLIES_A_TRICK * (before // PLIES_A_TRICK + self.depth))
        if not self.by_value:
            ended, _ = self._played_on(games, limit)
            margins = self._margins(ended, players)
            ahead: NDArray[np.float32] = np.sign(margins) + np.float32(EPSILON) * margins
            return ahead
        ended, values = self._played_on(games, last, (players, limit))
        rest = np.flatnonzero(np.isnan(values))
        values[rest] = np.sign(self._margins(ended.take(rest), players[rest]))
        return values

    def _margins(self, games: GameBatch, players: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Final points f4[n] of the player's side less the other's, what is to come solved."""
        points = games.points.astype(np.float32)
        margins: NDArray[np.float32] = points[:, 0] - points[:, 1]
        rest = np.flatnonzero(~games.over)
        if len(rest):
            margins[rest] += self.pool.values(positions_of(games, rest))
        return np.where(players & 1 == 0, margins, -margins)

    def _played_on(
        self,
        games: GameBatch,
        until: NDArray[np.int64],
        valued: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None,
    ) -> tuple[GameBatch, NDArray[np.float32]]:
        """The games with favourites played until so many plays are made, int64[n].

        `valued`: seats u1[n] whose first choice from so many plays on, int64[n], ends their game.

        Returns:
            The games, and the network's values f4[n] of those choices, NaN where none was met.
        """
        lanes, values = Lanes(games, until=until), np.full(len(games), np.nan, np.float32)
        observations = np.empty(len(games), OBS_DTYPE)
        evals = np.empty((len(games), 8), np.float32)
        while n := lanes.advance(observations):
            self.evaluator.evaluate(observations[:n], evals[:n])
            answers = evals[:n]
            if valued is not None:
                seats, since = valued
                at, plays = lanes.waiting, observations["n_plays"][:n]
                met = (lanes.games.to_play[at] == seats[at]) & (plays >= since[at])
                values[at[met]] = answers[met, 7]
                lanes.leave(met)
                answers = answers[~met]
            lanes.play_favourites(answers)
        return lanes.games, values
