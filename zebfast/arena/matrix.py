"""Everyone against everyone: all pairings on the same deals, their results and ratings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.match import MatchProgress, play_chunks
from zebfast.arena.pairs import Contracts, contracts
from zebfast.arena.players.base import Player
from zebfast.arena.ratings import ELO_PER_LOG_ODDS, N_RESAMPLES, VIRTUAL_TIES, Rating, rate
from zebfast.arena.stats import RANDOM_BIDS, MatchResult, MatchTally, PlayedDeals
from zebfast.rules import HALF_POINTS

Pair = tuple[int, int]


@dataclass(frozen=True)
class MatrixConfig:
    """Which matrix: its figures depend on this and on what the players do, on nothing else.

    players: names, no two alike. weights: a digest of each network's file, None for the others.
    bid: the contract of every deal, 30..42, or None for one drawn with each deal.
    """

    players: tuple[str, ...]
    weights: tuple[str | None, ...]
    n_deals: int
    seed: int = 0
    bid: int | None = None

    def __post_init__(self) -> None:
        if len(self.players) < 2 or len(set(self.players)) != len(self.players):
            raise ValueError(f"a matrix needs two different players or more, not {self.players}")
        if len(self.weights) != len(self.players) or self.n_deals < 1:
            raise ValueError("a matrix needs a digest or None for each player, and a deal or more")

    @property
    def pairs(self) -> list[Pair]:
        """Every two players once, the earlier one as A, in the order they are played."""
        return list(combinations(range(len(self.players)), 2))

    @property
    def games_per_pairing(self) -> int:
        """Two a deal."""
        return 2 * self.n_deals

    @cached_property
    def contracts(self) -> Contracts:
        """Who declared and what was bid, the same for every pairing."""
        return contracts(seed=self.seed, n_deals=self.n_deals, bid=self.bid)

    def as_dict(self) -> dict[str, Any]:
        """The fields by their names in JSON."""
        return {
            "players": list(self.players),
            "weights": list(self.weights),
            "n_deals": self.n_deals,
            "games_per_pairing": self.games_per_pairing,
            "seed": self.seed,
            "bid": RANDOM_BIDS if self.bid is None else self.bid,
        }


@dataclass
class Matrix:
    """The pairings played so far. points: u1[n_deals, 2] of A, by pair; seconds each took."""

    config: MatrixConfig
    points: dict[Pair, NDArray[np.uint8]] = field(default_factory=dict)
    seconds: dict[Pair, float] = field(default_factory=dict)

    @property
    def missing(self) -> list[Pair]:
        """Pairs not yet played, in order."""
        return [pair for pair in self.config.pairs if pair not in self.points]

    @property
    def complete(self) -> bool:
        """Whether every pairing was played."""
        return not self.missing

    def result(self, a: int, b: int) -> MatchResult:
        """What player `a` achieved against `b`, in either order. KeyError if not yet played."""
        pair = (min(a, b), max(a, b))
        played = self.config.contracts.with_points(self.points[pair])
        tally = MatchTally()
        tally.add(played if pair == (a, b) else played.flipped())
        return tally.result(
            player_a=self.config.players[a],
            player_b=self.config.players[b],
            seed=self.config.seed,
            bid=self.config.bid,
            seconds=self.seconds[pair],
        )

    @cached_property
    def ratings(self) -> list[Rating]:
        """Elo of every player by points. ValueError while a pairing is missing."""
        pairs = self.config.pairs
        if not self.complete:
            raise ValueError("ratings need every pairing")
        points = np.stack([self.points[pair] for pair in pairs])
        return rate(self.config.players, np.array(pairs), points)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the single games, ready for JSON; "elo" is None until complete."""
        played = [pair for pair in self.config.pairs if pair in self.points]
        elo = {
            "by": "points",
            "anchor": {"player": self.config.players[0], "elo": 0.0},
            "elo_per_log_odds": ELO_PER_LOG_ODDS,
            "tie": 0.5,
            "virtual_ties_per_pairing": VIRTUAL_TIES,
            "bootstrap_resamples": N_RESAMPLES,
            "ratings": [asdict(rating) for rating in self.ratings] if self.complete else [],
        }
        return {
            **self.config.as_dict(),
            "complete": self.complete,
            "pairs": [self.result(*pair).as_dict() for pair in played],
            "elo": elo if self.complete else None,
        }


@dataclass(frozen=True)
class MatrixProgress:
    """How far a matrix is: the pairing under way, pairings finished, and games over all of them."""

    pair: Pair
    finished_pairs: int
    pairs: int
    done: int
    total: int
    match: MatchProgress


def play_matrix(
    matrix: Matrix,
    players: Sequence[Player],
    *,
    deals_per_chunk: Sequence[int],
    progress: Callable[[MatrixProgress], None] | None = None,
    finished: Callable[[Pair], None] | None = None,
) -> None:
    """Play the pairings that `matrix` misses and add them to it, in the order of its config.

    `players` in the order of the config, and for each the deals it likes to play side by side; a
    pairing goes by the smaller number. `progress` is called after every chunk and `finished` after
    every pairing, from the calling thread; whatever stops this leaves the finished ones in place.
    """
    n_pairs, games = len(matrix.config.pairs), matrix.config.games_per_pairing
    for pair in matrix.missing:
        first_game = (n_pairs - len(matrix.missing)) * games
        parts: list[PlayedDeals] = []
        start = time.perf_counter()
        for played in play_chunks(
            players[pair[0]],
            players[pair[1]],
            n_deals=matrix.config.n_deals,
            seed=matrix.config.seed,
            bid=matrix.config.bid,
            deals_per_chunk=min(deals_per_chunk[player] for player in pair),
        ):
            parts.append(played)
            if progress is not None:
                done = 2 * sum(len(part) for part in parts)
                wins = sum(int((part.points > HALF_POINTS).sum()) for part in parts)
                progress(
                    MatrixProgress(
                        pair=pair,
                        finished_pairs=n_pairs - len(matrix.missing),
                        pairs=n_pairs,
                        done=first_game + done,
                        total=n_pairs * games,
                        match=MatchProgress(done, games, wins, time.perf_counter() - start),
                    )
                )
        matrix.points[pair] = np.concatenate([part.points for part in parts])
        matrix.seconds[pair] = time.perf_counter() - start
        if finished is not None:
            finished(pair)
