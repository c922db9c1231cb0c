"""Whole games of everyone against everyone: the same deals for every pairing, results and Elo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.ratings import ELO_PER_LOG_ODDS, N_RESAMPLES, VIRTUAL_TIES, Rating, rate
from zebfast.arena.table.match import half_width, play_table_match, win_interval
from zebfast.arena.table.players import TablePlayer
from zebfast.rules import TOTAL_POINTS, RuleSet

Pair = tuple[int, int]


@dataclass(frozen=True)
class WholePairing:
    """What A did against B: marks of A less those of B, and whether A won, [n_pairs, 2] each.

    seconds: that it took. hands: of both games of all pairs.
    """

    margins: NDArray[np.int64]
    won: NDArray[np.bool_]
    seconds: float = 0.0
    hands: int = 0

    def flipped(self) -> WholePairing:
        """The same games as B saw them."""
        return WholePairing(-self.margins, ~self.won, self.seconds, self.hands)

    def as_dict(self) -> dict[str, Any]:
        """Marks a game and games won with their 95 % intervals, as in a `TableResult`."""
        low, high = win_interval(self.won)
        return {
            "games": self.won.size,
            "won": int(self.won.sum()),
            "win_rate": float(self.won.mean()),
            "win_rate_low": low,
            "win_rate_high": high,
            "win_rate_half_width": (high - low) / 2,
            "marks_a_game": float(self.margins.mean()),
            "marks_a_game_half_width": half_width(self.margins),
            "hands": self.hands,
            "seconds": round(self.seconds, 2),
        }


@dataclass
class Ladder:
    """Pairings of n_pairs deals of the seed, each both ways, by the places of their players."""

    players: tuple[str, ...]
    n_pairs: int
    seed: int
    rule_set: RuleSet
    played: dict[Pair, WholePairing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.players) < 2 or len(set(self.players)) != len(self.players):
            raise ValueError(f"a ladder needs two different players or more, not {self.players}")

    @property
    def pairs(self) -> list[Pair]:
        """Every two players once, the earlier one as A."""
        return list(combinations(range(len(self.players)), 2))

    def result(self, a: int, b: int) -> WholePairing:
        """What a did against b, in either order. KeyError if not yet played."""
        return self.played[a, b] if a < b else self.played[b, a].flipped()

    @cached_property
    def ratings(self) -> list[Rating]:
        """Elo of every player by games won, see `ratings`; all pairings must be there."""
        won = np.stack([self.played[pair].won for pair in self.pairs])
        points = np.where(won, TOTAL_POINTS, 0).astype(np.uint8)  # more than half of them: won
        return rate(self.players, np.array(self.pairs), points)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "game": "marks",
            "players": list(self.players),
            "rules": str(self.rule_set),
            "n_pairs": self.n_pairs,
            "seed": self.seed,
            "pairs": [
                {"player_a": self.players[a], "player_b": self.players[b],
                 **self.played[a, b].as_dict()}
                for a, b in self.pairs
            ],
            "elo": {
                "by": "games won",
                "anchor": {"player": self.players[0], "elo": 0.0},
                "elo_per_log_odds": ELO_PER_LOG_ODDS,
                "virtual_ties_per_pairing": VIRTUAL_TIES,
                "bootstrap_resamples": N_RESAMPLES,
                "ratings": [asdict(rating) for rating in self.ratings],
            },
        }  # fmt: skip


def play_ladder(
    ladder: Ladder, players: Sequence[TablePlayer], *, clock: Callable[[], float],
    finished: Callable[[Pair], object] = lambda _: None,
) -> None:  # fmt: skip
    """Play the pairings that are missing; ``finished`` is told of each, in order.

    ``clock`` gives seconds. Raises ForeignPlayerError where a program does not answer.
    """
    for a, b in ladder.pairs:
        if (a, b) in ladder.played:
            continue
        began = clock()
        pairing = play_whole_pairing(
            players[a], players[b], n_pairs=ladder.n_pairs, seed=ladder.seed,
            rule_set=ladder.rule_set,
        )  # fmt: skip
        margins, won, hands = pairing
        ladder.played[a, b] = WholePairing(margins, won, clock() - began, hands)
        finished((a, b))


def play_whole_pairing(
    a: TablePlayer, b: TablePlayer, *, n_pairs: int, seed: int, rule_set: RuleSet
) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
    """Margins int64[n_pairs, 2] and wins bool[n_pairs, 2] of A, and how many hands it were."""
    margins = np.zeros((n_pairs, 2), np.int64)
    won = np.zeros((n_pairs, 2), np.bool_)

    def keep(played: Any) -> None:
        margins[played.number, played.half] = played.margin
        won[played.number, played.half] = played.won

    result = play_table_match(a, b, n_pairs=n_pairs, seed=seed, rule_set=rule_set, seen=keep)
    return margins, won, result.hands
