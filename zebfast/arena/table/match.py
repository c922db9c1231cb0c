"""What a match of paired whole games comes to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.ratings import ELO_PER_LOG_ODDS, VIRTUAL_TIES
from zebfast.arena.stats import Z_95
from zebfast.arena.table.lockstep import AT_ONCE, PlayedGame, play_pairs
from zebfast.arena.table.players import TablePlayer
from zebfast.rules import RuleSet


@dataclass(frozen=True)
class TableResult:
    """What A achieved against B over so many games; intervals are 95 % over pairs of games.

    ``elo`` is that of A over B by games won, with one game more that is a tie (`ratings`), and
    ``elo_half_width`` what the interval of the games won makes of it there.
    """

    player_a: str
    player_b: str
    rules: str
    seed: int
    games: int
    won: int
    marks_a_game: float
    marks_a_game_half_width: float
    win_rate: float
    win_rate_half_width: float
    elo: float
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
    won, games, half_width = int(wins.sum()), 2 * n_pairs, _half_width(wins)
    elo, slope = _elo(won, games)
    return TableResult(
        player_a=a.name, player_b=b.name, rules=str(rule_set or RuleSet()), seed=seed,
        games=games, won=won, marks_a_game=float(margins.mean()),
        marks_a_game_half_width=_half_width(margins), win_rate=won / games,
        win_rate_half_width=half_width, elo=elo, elo_half_width=slope * half_width, hands=hands,
        illegal_a=getattr(a, "illegal", 0), illegal_b=getattr(b, "illegal", 0),
    )  # fmt: skip


def _elo(won: int, games: int) -> tuple[float, float]:
    """Elo of who won so many of the games, a tie beside them, and how it grows with the share."""
    share = (won + VIRTUAL_TIES / 2) / (games + VIRTUAL_TIES)
    slope = ELO_PER_LOG_ODDS / (share * (1 - share))
    return ELO_PER_LOG_ODDS * math.log(share / (1 - share)), slope


def _half_width(values: NDArray[np.float64]) -> float:
    """Half of the 95 % interval of the mean over pairs; NaN is no JSON, so 0 for one pair."""
    pairs = values.mean(axis=1)
    if len(pairs) < 2:
        return 0.0
    return float(Z_95 * pairs.std(ddof=1) / math.sqrt(len(pairs)))
