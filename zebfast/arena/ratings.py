"""Elo ratings of many players from all their pairings: Bradley-Terry by maximum likelihood.

The model: i beats j with probability 1 / (1 + 10 ** ((elo_j - elo_i) / 400)). A tie counts as half
a win for each side. Every pairing gets one game more than was played, a tie: it moves a rating by
a fraction of its error, and it keeps the rating of a player that won or lost everything finite.
Ratings are relative to the first player, which has 0.

Sources: Bradley & Terry, Biometrika 39 (1952); Hunter, "MM algorithms for generalized Bradley-Terry
models", Annals of Statistics 32 (2004), for when a maximum exists. Intervals: bootstrap percentiles
(Efron, 1979) over whole deals, because all pairings play the same ones.
"""

# Written out because the one well-kept library for this, choix, needs SciPy, which nothing else
# here does, and has no ties; the likelihood is concave, and twenty lines of Newton maximise it.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ELO_PER_LOG_ODDS = 400.0 / math.log(10.0)
VIRTUAL_TIES = 1  # a pairing
N_RESAMPLES = 1000
_RESAMPLING_SEED = 42
_MAX_CELLS = 4_000_000  # of one block of resampled counts: bounds memory
_MAX_STEP = 1.0  # in log odds; a full Newton step can overshoot where the likelihood is flat
_TOLERANCE = 1e-9
_MAX_ITERATIONS = 500


@dataclass(frozen=True)
class Rating:
    """A player's Elo relative to the first player's 0, with its bootstrap 95 % interval."""

    player: str
    elo: float
    elo_low: float
    elo_high: float


def rate(
    players: tuple[str, ...], pairs: NDArray[np.integer[Any]], points: NDArray[np.uint8]
) -> list[Rating]:
    """Ratings of `players`, in their order.

    pairs: int[P, 2], the players (A, B) of each pairing, every two players once. points:
    u1[P, deals, 2], what A took in each game; deal d is the same deal in every pairing. The
    resampling is seeded, so the same games give the same intervals; it cannot show a spread where
    every deal of a pairing went the same way, so such an interval is too narrow. Raises
    ValueError unless every two players met and there is a deal.
    """
    n, n_deals = len(players), points.shape[1]
    met = {frozenset(pair) for pair in pairs.tolist()}
    if len(met) != len(pairs) or len(pairs) != n * (n - 1) // 2 or n < 2 or n_deals == 0:
        raise ValueError("ratings need every pairing once, of two players or more, and a deal")
    scores = deal_scores(points)
    totals = 2.0 * n_deals
    found = _elo(_score_table(pairs, scores.sum(axis=0)[None], totals, n))[0]
    resampled = _elo(_score_table(pairs, _resample(scores), totals, n))
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return [
        Rating(player=player, elo=float(e), elo_low=float(lo), elo_high=float(hi))
        for player, e, lo, hi in zip(players, found, low, high, strict=True)
    ]


def deal_scores(points: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A's score 0..2 on each deal of each pairing, f8[deals, P]: a win 1, a tie a half."""
    twice = (points > 21).astype(np.int8) + (points >= 21).astype(np.int8)
    return np.ascontiguousarray(twice.sum(axis=2).T / 2.0)


def bradley_terry(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log strengths f8[B, n] that maximise the likelihood of scores f8[B, n, n]; player 0 has 0.

    scores[b, i, j] is what i won against j, ties as halves; fractions are fine. Every two players
    must have taken something from each other, or there may be no maximum. Raises
    FloatingPointError if the iteration does not settle.
    """
    games = scores + scores.swapaxes(1, 2)
    strength = np.zeros(scores.shape[:2])
    diagonal = np.arange(scores.shape[1])
    for _ in range(_MAX_ITERATIONS):
        expected = games / (1.0 + np.exp(strength[:, None, :] - strength[:, :, None]))
        gradient = (scores - expected).sum(axis=2)
        curvature = expected * (1.0 - expected / np.where(games > 0, games, 1.0))
        hessian = -curvature
        hessian[:, diagonal, diagonal] = curvature.sum(axis=2) - curvature[:, diagonal, diagonal]
        step = np.linalg.solve(hessian[:, 1:, 1:], gradient[:, 1:, None])[..., 0]
        longest = np.abs(step).max(axis=1, keepdims=True)
        strength[:, 1:] += step * np.minimum(1.0, _MAX_STEP / np.maximum(longest, _TOLERANCE))
        if longest.max() < _TOLERANCE:
            return strength
    raise FloatingPointError("the ratings did not settle")


def _elo(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return bradley_terry(scores) * ELO_PER_LOG_ODDS


def _score_table(
    pairs: NDArray[np.integer[Any]], won: NDArray[np.float64], games: float, n: int
) -> NDArray[np.float64]:
    """Scores f8[B, n, n] of everyone against everyone, the virtual ties included.

    won: f8[B, P], what A of each pairing scored in its `games` games.
    """
    table = np.zeros((len(won), n, n))
    table[:, pairs[:, 0], pairs[:, 1]] = won + VIRTUAL_TIES / 2.0
    table[:, pairs[:, 1], pairs[:, 0]] = games - won + VIRTUAL_TIES / 2.0
    return table


def _resample(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Total scores f8[N_RESAMPLES, P] over deals drawn with replacement, jointly for all pairs."""
    n_deals = len(scores)
    rng = np.random.default_rng(_RESAMPLING_SEED)
    block = max(1, min(N_RESAMPLES, _MAX_CELLS // n_deals))
    totals = []
    for first in range(0, N_RESAMPLES, block):
        size = min(block, N_RESAMPLES - first)
        counts = np.stack(
            [
                np.bincount(rng.integers(n_deals, size=n_deals), minlength=n_deals)
                for _ in range(size)
            ]
        )
        totals.append(counts.astype(np.float64) @ scores)
    return np.concatenate(totals)
