"""Counting match results: exact integer tallies, win rates, intervals.

"Winning" here always means *points*: more than 21 of the 42. A 21-21 game is a tie, and a tie
is not a win for either side.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


def wilson_interval(*, wins: int, games: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of a proportion, (low, high) within [0, 1].

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    JASA 22 (1927). Raises ValueError unless 0 <= wins <= games and games > 0.
    """
    if games <= 0 or not 0 <= wins <= games:
        raise ValueError(f"an interval needs 0 <= wins <= games and games > 0, not {wins}/{games}")
    p = wins / games
    scale = 1.0 + z * z / games
    centre = (p + z * z / (2 * games)) / scale
    half = z * math.sqrt(p * (1.0 - p) / games + z * z / (4.0 * games * games)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class MatchResult:
    """What `player_a` achieved against `player_b`, every deal played both ways.

    `win_rate` is wins / games with ties not won; `win_rate_low`/`high` its Wilson 95 % interval,
    which treats the two games of a deal as independent (they lean against each other, so the
    interval errs on the wide side). `mean_margin` is points of A minus points of B per game and
    `margin_se` its standard error, taken over deals because the two games of one deal share it.
    `games_per_s` is the only field that depends on the machine.
    """

    player_a: str
    player_b: str
    seed: int
    games: int
    wins: int
    ties: int
    losses: int
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    mean_margin: float
    margin_se: float
    games_per_s: float

    def as_dict(self) -> dict[str, Any]:
        """The fields as a plain dict, ready for JSON."""
        return asdict(self)


@dataclass
class MatchTally:
    """Running counts of a match. All integers, so chunk order and size cannot change them."""

    deals: int = 0
    wins: int = 0
    ties: int = 0
    losses: int = 0
    margin_sum: int = 0
    pair_margin_squares: int = 0

    def add(self, margins: NDArray[np.integer[Any]]) -> None:
        """Count `margins` int[deals, 2]: A's points minus B's in the two games of each deal."""
        wide = margins.astype(np.int64)
        pairs = wide.sum(axis=1)
        self.deals += len(wide)
        self.wins += int((wide > 0).sum())
        self.ties += int((wide == 0).sum())
        self.losses += int((wide < 0).sum())
        self.margin_sum += int(pairs.sum())
        self.pair_margin_squares += int((pairs * pairs).sum())

    @property
    def games(self) -> int:
        """Games counted so far: two a deal."""
        return 2 * self.deals

    def margin_se(self) -> float:
        """Standard error of the mean margin a game; 0.0 where one deal cannot show a spread."""
        if self.deals < 2:
            return 0.0
        squares = self.pair_margin_squares - self.margin_sum**2 / self.deals
        pair_variance = max(0.0, squares) / (self.deals - 1)
        return math.sqrt(pair_variance / self.deals) / 2.0

    def result(self, *, player_a: str, player_b: str, seed: int, seconds: float) -> MatchResult:
        """Close the tally. Raises ValueError when no game was counted."""
        low, high = wilson_interval(wins=self.wins, games=self.games)
        return MatchResult(
            player_a=player_a,
            player_b=player_b,
            seed=seed,
            games=self.games,
            wins=self.wins,
            ties=self.ties,
            losses=self.losses,
            win_rate=self.wins / self.games,
            win_rate_low=low,
            win_rate_high=high,
            mean_margin=self.margin_sum / self.games,
            margin_se=self.margin_se(),
            games_per_s=self.games / seconds if seconds > 0 else 0.0,
        )
