"""From exact values in many worlds to one play: means, ties, and when the best play is clear."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zebfast.core.engine import GameBatch

CLEAR_ERRORS = 2.5  # a play is clearly better by so many standard errors of the difference
EQUAL_WORLDS = 20  # plays that were equal in so many worlds are taken to be equal
_DIGITS = 9  # means that agree to so many decimals are equal: sums in another order stay ties


@dataclass(frozen=True)
class Stakes:
    """What k games are about, for the seats to play.

    legal: bool[k, 28]. sign: int64[k], +1 where team 0 is to play, -1 where team 1. to_come:
    int64[k], points of both sides still to come. needed: int64[k], the points to come with which
    the side to play gets its way with the contract: makes it if it declared, sets it if not.
    """

    legal: NDArray[np.bool_]
    sign: NDArray[np.int64]
    to_come: NDArray[np.int64]
    needed: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        batch: GameBatch,
        rows: NDArray[np.intp],
        *,
        legal: NDArray[np.bool_],
        bids: NDArray[np.uint8],
    ) -> Stakes:
        """The stakes of the games in `rows`, whose declaring teams are those of the leaders."""
        points = batch.points[rows].astype(np.int64)
        team = batch.to_play[rows].astype(np.int64) & 1
        declarer = batch.leader[rows].astype(np.int64) & 1
        to_come = 42 - points.sum(axis=1)
        to_make = bids.astype(np.int64) - np.take_along_axis(points, declarer[:, None], 1)[:, 0]
        # It is set when the declarers take at most to_make - 1 of the points to come.
        to_set = to_come - to_make + 1
        return cls(legal, 1 - 2 * team, to_come, np.where(team == declarer, to_make, to_set))

    def take(self, some: NDArray[np.intp]) -> Stakes:
        """The stakes of a subset of the games."""
        return Stakes(self.legal[some], self.sign[some], self.to_come[some], self.needed[some])


@dataclass(frozen=True)
class Tally:
    """Exact values of every play of k games in n worlds each.

    values: int8[k, n, 28], team 0 minus team 1 to come. log_weights: f8[k, n], -inf = not a world.
    """

    stakes: Stakes
    values: NDArray[np.int8]
    log_weights: NDArray[np.float64]

    def take(self, some: NDArray[np.intp]) -> Tally:
        """The tally of a subset of the games."""
        return Tally(self.stakes.take(some), self.values[some], self.log_weights[some])

    def joined(self, more: Tally) -> Tally:
        """This tally with more worlds of the same games."""
        return replace(
            self,
            values=np.concatenate([self.values, more.values], axis=1),
            log_weights=np.concatenate([self.log_weights, more.log_weights], axis=1),
        )

    @property
    def n_worlds(self) -> NDArray[np.int64]:
        """Worlds of each game, int64[k]."""
        counts: NDArray[np.int64] = np.isfinite(self.log_weights).sum(axis=1)
        return counts

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weights f8[k, n] of the worlds, the largest of a game 1."""
        top = self.log_weights.max(axis=1, keepdims=True)
        weights: NDArray[np.float64] = np.exp(self.log_weights - top)
        return weights

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """Points to come of the side to play, f8[k, n, 28], a whole number each."""
        own = self.values * self.stakes.sign[:, None, None]
        return (own + self.stakes.to_come[:, None, None]) / 2

    @cached_property
    def success(self) -> NDArray[np.float64]:
        """1 where the side to play gets its way with the contract, else 0: f8[k, n, 28].

        A side that can take so many points by best play for points can force them whatever the
        other aims at, so that this is exact, too.
        """
        return (self.points >= self.stakes.needed[:, None, None]).astype(np.float64)

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted means of points and success, f8[k, 28] each; NaN where not legal."""
        points, success = self._mean(self.points), self._mean(self.success)
        points[~self.stakes.legal] = success[~self.stakes.legal] = np.nan
        return points, success

    def best(self, objective: str) -> NDArray[np.uint8]:
        """The best play u1[k]: by the objective, then the other measure, then the lowest id."""
        among = self.stakes.legal
        for measure in self._measures(objective):
            mean = np.where(among, self._mean(measure).round(_DIGITS), -np.inf)
            among = among & (mean == mean.max(axis=1, keepdims=True))
        dominoes: NDArray[np.uint8] = among.argmax(axis=1).astype(np.uint8)
        return dominoes

    def clear(self, objective: str) -> NDArray[np.bool_]:
        """Whether more worlds are unlikely to change the best play, bool[k].

        Every other play must be worse by CLEAR_ERRORS standard errors of the paired difference, or
        equal in every one of EQUAL_WORLDS worlds or more; then the other measure decides likewise.
        """
        best = self.best(objective).astype(np.intp)[:, None, None]
        first, second = (self._compared(m, best) for m in self._measures(objective))
        settled = first[0] | (first[1] & (second[0] | second[1]))
        clear: NDArray[np.bool_] = np.logical_and.reduce(settled | ~self.stakes.legal, axis=1)
        return clear

    def _compared(
        self, measure: NDArray[np.float64], best: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where the best play is clearly better than each other, and where equal: bool[k, 28]."""
        ahead = np.take_along_axis(measure, best, axis=2) - measure
        mean = self._mean(ahead)
        squares = self.weights[:, :, None] ** 2 * (ahead - mean[:, None, :]) ** 2
        error = np.sqrt(squares.sum(axis=1)) / self.weights.sum(axis=1)[:, None]
        equal = (self._mean(np.abs(ahead)) == 0) & (self.n_worlds >= EQUAL_WORLDS)[:, None]
        return (mean > CLEAR_ERRORS * error) & (mean > 0), equal

    def _measures(self, objective: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        both = (self.points, self.success)
        return both if objective == "points" else both[::-1]

    def _mean(self, measure: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted mean over worlds, f8[k, 28] from f8[k, n, 28]."""
        total = np.matmul(self.weights[:, None, :], measure)[:, 0]
        mean: NDArray[np.float64] = total / self.weights.sum(axis=1)[:, None]
        return mean
