"""What a match of paired whole games comes to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.ratings import ELO_PER_LOG_ODDS, VIRTUAL_TIES
from zebfast.arena.stats import Z_95, wilson_interval
from zebfast.arena.table.lockstep import AT_ONCE, PlayedGame, play_pairs
from zebfast.arena.table.players import TablePlayer
from zebfast.rules import RuleSet


@dataclass(frozen=True)
class TableResult:
    """What A achieved against B over so many games; intervals are 95 % over pairs of games.

    ``win_rate_low`` and ``high`` are `win_interval`'s, the half width half of what lies between
    them. ``elo`` is that of A over B by games won, with one game more that is a tie (`ratings`),
    and its interval what that of the games won makes of it. ``marks_a_game_half_width`` is None
    where the pairs show no spread: `half_width`.
    """

    player_a: str
    player_b: str
    rules: str
    seed: int
    games: int
    won: int
    marks_a_game: float
    marks_a_game_half_width: float | None
    win_rate: float
    win_rate_low: float
    win_rate_high: float
    win_rate_half_width: float
    elo: float
    elo_low: float
    elo_high: float
    elo_half_width: float
    hands: int
    illegal_a: int
    illegal_b: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def play_table_match(
    a: TablePlayer,
    b: TablePlayer,
    *,
    n_pairs: int,
    seed: int,
    rule_set: RuleSet | None = None,
    seen: Callable[[PlayedGame], object] = lambda _: None,
    at_once: int = AT_ONCE,
) -> TableResult:
    """All pairs, and what they say. ``seen`` is told of every game, to record it or to show it.

    ``at_once`` games are played side by side, and nothing depends on how many. Raises
    ForeignPlayerError where a program does not answer.
    """
    margins, wins, hands = np.zeros((n_pairs, 2)), np.zeros((n_pairs, 2)), 0
    for played in play_pairs(
        a, b, n_pairs=n_pairs, seed=seed, rule_set=rule_set, at_once=at_once
    ):  # fmt: skip
        margins[played.number, played.half] = played.margin
        wins[played.number, played.half] = played.won
        hands += played.n_hands
        seen(played)
    won, games = int(wins.sum()), 2 * n_pairs
    low, high = win_interval(wins)
    elo, elo_low, elo_high = (_elo(share, games) for share in (won / games, low, high))
    return TableResult(
        player_a=a.name, player_b=b.name, rules=str(rule_set or RuleSet()), seed=seed,
        games=games, won=won, marks_a_game=float(margins.mean()),
        marks_a_game_half_width=half_width(margins), win_rate=won / games, win_rate_low=low,
        win_rate_high=high, win_rate_half_width=(high - low) / 2, elo=elo, elo_low=elo_low,
        elo_high=elo_high, elo_half_width=(elo_high - elo_low) / 2, hands=hands,
        illegal_a=getattr(a, "illegal", 0), illegal_b=getattr(b, "illegal", 0),
    )  # fmt: skip


def _elo(share: float, games: int) -> float:
    """Elo of who won such a share of the games, a tie beside them."""
    won = (share * games + VIRTUAL_TIES / 2) / (games + VIRTUAL_TIES)
    return ELO_PER_LOG_ODDS * math.log(won / (1 - won))


def win_interval(won: NDArray[Any]) -> tuple[float, float]:
    """The 95 % interval of the share of games won, from 0 or 1 [n_pairs, 2].

    Wilson's, of as many games as the pairs are worth: the two games of a pair lean on each other,
    which the spread of the pairs shows. Where they show none, each game counts for itself.
    Source: L. Kish, "Survey Sampling" (1965), for the design effect.
    """
    share, games = float(won.mean()), float(won.size)
    spread, alone = _variance(won), share * (1 - share) / 2
    worth = games * alone / min(spread, 2 * alone) if spread > 0 else games
    return wilson_interval(wins=share * worth, games=worth)


def half_width(values: NDArray[Any]) -> float | None:
    """Half of the 95 % interval of the mean over pairs, values [n_pairs, 2].

    None where there is one pair, or all are alike: that does not say how far they spread.
    """
    variance = _variance(values)
    return Z_95 * math.sqrt(variance / len(values)) if variance > 0 else None


def _variance(values: NDArray[Any]) -> float:
    """Of the means of pairs; 0 for one pair."""
    return float(values.mean(axis=1).var(ddof=1)) if len(values) > 1 else 0.0
