"""A race between the plays of a decision: which is best on average, and which have lost already.

Values come from worlds that all plays share, so that what is compared is differences within a
world, which vary far less than values do. A play that is behind the best by several standard
errors is dropped, and the worlds to come are for the others (Maron & Moore 1993, Hoeffding races;
here with normal errors and a prior).

The network's own opinion of the plays counts as so many worlds: over the first worlds its error is
smaller than that of their average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DROP_ERRORS = 2.0  # standard errors behind the best at which a play has lost
FEWEST_WORLDS = 8  # before which no play has


@dataclass
class Race:
    """The plays of k decisions.

    Attributes:
        alive: bool[k, 28], plays still in the race.
        prior: f8[k, 28], their utilities as the network sees them, up to a constant a decision.
        prior_worlds: worlds that the prior counts for.
        utilities: f4[k, n, 28], of the worlds so far; what it says of plays not alive is not read.
        log_weights: f8[k, n], of those worlds.
    """

    alive: NDArray[np.bool_]
    prior: NDArray[np.float64]
    prior_worlds: float
    utilities: NDArray[np.float32]
    log_weights: NDArray[np.float64]

    @classmethod
    def start(
        cls, legal: NDArray[np.bool_], prior: NDArray[np.float64], *, prior_worlds: float
    ) -> Race:
        """A race of the legal bool[k, 28] plays before any world."""
        k = len(legal)
        empty = np.zeros((k, 0, 28), np.float32)
        return cls(legal.copy(), prior, prior_worlds, empty, np.zeros((k, 0)))

    @property
    def open(self) -> NDArray[np.intp]:
        """Decisions in which more than one play is alive, intp[m]."""
        return np.flatnonzero(self.alive.sum(axis=1) > 1)

    def take(self, rows: NDArray[np.intp]) -> Race:
        """A race of some of the decisions."""
        return Race(
            self.alive[rows],
            self.prior[rows],
            self.prior_worlds,
            self.utilities[rows],
            self.log_weights[rows],
        )

    def add(self, utilities: NDArray[np.float32], log_weights: NDArray[np.float64]) -> None:
        """More worlds: f4[k, m, 28] and f8[k, m]. Drops what has lost."""
        self.utilities = np.concatenate([self.utilities, utilities], axis=1)
        self.log_weights = np.concatenate([self.log_weights, log_weights], axis=1)
        if self.utilities.shape[1] >= FEWEST_WORLDS:
            self.alive &= ~self._lost()

    def best(self) -> NDArray[np.uint8]:
        """The best play u1[k], the lowest domino among equals."""
        mean = np.where(self.alive, self._means(), -np.inf)
        dominoes: NDArray[np.uint8] = mean.argmax(axis=1).astype(np.uint8)
        return dominoes

    def _weights(self) -> NDArray[np.float64]:
        """Weights f8[k, n] of the worlds that add up to the number of worlds they are worth."""
        if not self.log_weights.shape[1]:
            return np.zeros_like(self.log_weights)
        weights = np.exp(self.log_weights - self.log_weights.max(axis=1, keepdims=True))
        total = weights.sum(axis=1, keepdims=True)
        worth = total**2 / (weights**2).sum(axis=1, keepdims=True)
        scaled: NDArray[np.float64] = weights * (worth / total)
        return scaled

    def _means(self) -> NDArray[np.float64]:
        """Means f8[k, 28] over worlds and prior; of plays that are not alive they mean nothing."""
        weights = self._weights()
        values = np.where(self.alive[:, None], self.utilities, 0.0)
        total = np.matmul(weights[:, None], values)[:, 0] + self.prior_worlds * self.prior
        worth = weights.sum(axis=1, keepdims=True) + self.prior_worlds
        means: NDArray[np.float64] = total / np.maximum(worth, np.finfo(np.float64).tiny)
        return means

    def _lost(self) -> NDArray[np.bool_]:
        """Plays bool[k, 28] that are clearly behind the best."""
        weights, means = self._weights(), self._means()
        best = self.best().astype(np.intp)[:, None]
        values = np.where(self.alive[:, None], self.utilities, 0.0)
        behind = np.take_along_axis(values, best[:, None], axis=2) - values
        gap = np.take_along_axis(means, best, axis=1) - means
        worth = weights.sum(axis=1, keepdims=True)
        squares = np.matmul(weights[:, None], behind**2)[:, 0] / worth
        average = np.matmul(weights[:, None], behind)[:, 0] / worth
        variance = np.maximum(squares - average**2, 0.0) * worth / np.maximum(worth - 1.0, 1.0)
        error = np.sqrt(variance / (worth + self.prior_worlds))
        lost: NDArray[np.bool_] = (gap > DROP_ERRORS * error) & (gap > 0.0)
        return lost
