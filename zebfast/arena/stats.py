"""Counting match results: exact integer tallies, win rates by points and by contract, intervals.

By *points*, a game is won with more than 21 of the 42; 21-21 is a tie, and a tie is not a win for
either side. By *contract*, the side that declared wins if it took at least its bid, and the other
side wins if it did not: there are no ties.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast import rules

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
RANDOM_BIDS = "random"  # how results name the rule that every deal has a bid of its own


def wilson_interval(*, wins: float, games: float, z: float = Z_95) -> tuple[float, float]:
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


def plus_minus(half_width: float | None) -> str:
    """`` ± 0.12``; nothing where it is not known."""
    return "" if half_width is None else f" ± {half_width:.2f}"


@dataclass(frozen=True)
class PlayedDeals:
    """What player A did on n deals: its game as team 0 in column 0, as team 1 in column 1.

    points: u1[n, 2], taken by A, 0..42. declared: bool[n, 2], whether A's team declared.
    bids: u1[n], of the deal's declaring team.
    """

    points: NDArray[np.uint8]
    declared: NDArray[np.bool_]
    bids: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def margins(self) -> NDArray[np.int64]:
        """Points of A minus points of B, int64[n, 2]."""
        return 2 * self.points.astype(np.int64) - rules.TOTAL_POINTS

    @property
    def made(self) -> NDArray[np.bool_]:
        """Whether whoever declared reached its bid, bool[n, 2]."""
        declarer = np.where(self.declared, self.points, rules.TOTAL_POINTS - self.points)
        return np.asarray(declarer >= self.bids[:, None])

    def flipped(self) -> PlayedDeals:
        """The same games as player B saw them; B is team 0 where A is team 1."""
        return PlayedDeals(
            points=(rules.TOTAL_POINTS - self.points[:, ::-1]).astype(np.uint8),
            declared=~self.declared[:, ::-1],
            bids=self.bids,
        )


@dataclass(frozen=True)
class MatchResult:
    """What `player_a` achieved against `player_b`, every deal played both ways.

    `win_rate` is wins / games with ties not won; `win_rate_low`/`high` its Wilson 95 % interval,
    which treats the two games of a deal as independent (they lean against each other, so the
    interval errs on the wide side); the same for `contract_rate`, which has no ties. A `declared`
    in half of the games and `made` so many of those contracts; in the other half it `defended`
    and `set_opponent` so many. `made_rate_all` is how often whoever declared made it.
    `mean_margin` is points of A minus points of B per game and `margin_se` its standard error,
    taken over deals because the two games of one deal share it. `bid` is the bid of every deal,
    or "random" (uniform over 30..42). `games_per_s` alone depends on the machine.
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
    bid: int | str
    contract_wins: int
    contract_rate: float
    contract_rate_low: float
    contract_rate_high: float
    declared: int
    made: int
    made_rate: float
    defended: int
    set_opponent: int
    set_rate: float
    made_rate_all: float
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
    made: int = 0
    set_opponent: int = 0

    def add(self, played: PlayedDeals) -> None:
        """Count some more deals."""
        margins, made = played.margins, played.made
        pairs = margins.sum(axis=1)
        self.deals += len(played)
        self.wins += int((margins > 0).sum())
        self.ties += int((margins == 0).sum())
        self.losses += int((margins < 0).sum())
        self.margin_sum += int(pairs.sum())
        self.pair_margin_squares += int((pairs * pairs).sum())
        self.made += int((played.declared & made).sum())
        self.set_opponent += int((~played.declared & ~made).sum())

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

    def result(
        self, *, player_a: str, player_b: str, seed: int, bid: int | None = None, seconds: float
    ) -> MatchResult:
        """Close the tally. Raises ValueError when no game was counted."""
        low, high = wilson_interval(wins=self.wins, games=self.games)
        contracts = self.made + self.set_opponent
        contract_low, contract_high = wilson_interval(wins=contracts, games=self.games)
        declared = self.deals  # both games of a deal have the same declaring team, A is each once
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
            bid=RANDOM_BIDS if bid is None else bid,
            contract_wins=contracts,
            contract_rate=contracts / self.games,
            contract_rate_low=contract_low,
            contract_rate_high=contract_high,
            declared=declared,
            made=self.made,
            made_rate=self.made / declared,
            defended=declared,
            set_opponent=self.set_opponent,
            set_rate=self.set_opponent / declared,
            made_rate_all=(self.made + declared - self.set_opponent) / self.games,
            games_per_s=self.games / seconds if seconds > 0 else 0.0,
        )
