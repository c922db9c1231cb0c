"""Decisions to be judged, and what every play of them is worth on average over many worlds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.labels import slot_values
from zebfast.arena.pairs import LOWEST_BID, PlayRng
from zebfast.arena.players.base import NetworkPlayer
from zebfast.core.engine import GameBatch
from zebfast.core.masks import has_choice
from zebfast.core.solve import NO_PLAY
from zebfast.core.solver_pool import SolverPool
from zebfast.core.worlds import WorldSet, sample_worlds, world_counts, world_positions
from zebfast.rules import HALF_POINTS, N_DOMINOES, N_PLIES, Stream

if TYPE_CHECKING:
    from zebfast.selfplay.groups import BatchEvaluator

PART = 64  # positions whose worlds are solved in one call
EQUAL = 1e-9  # means that differ by less are equal


@dataclass(frozen=True)
class Positions:
    """n decisions, in an order that has nothing to do with their plies.

    games: n games, each at one decision. numbers: u8[n], the number of each in its stream.
    """

    games: GameBatch
    numbers: NDArray[np.uint64]
    seed: int

    def __len__(self) -> int:
        return len(self.games)

    def first(self, n: int) -> Positions:
        """The first n of them."""
        return Positions(self.games.take(np.arange(min(n, len(self)))), self.numbers[:n], self.seed)

    @cached_property
    def decided(self) -> NDArray[np.bool_]:
        """Whether one side has won by points already, bool[n]."""
        return np.asarray(self.games.points.max(axis=1) > HALF_POINTS)


def network_positions(evaluator: BatchEvaluator, n: int, *, seed: int) -> Positions:
    """n decisions of n games that the bare policy plays against itself at temperature 1.

    Deals are those of matches (stream EVAL_DEAL), which nothing is trained on. Every ply has the
    share that it has of all decisions, about one decision of each game is taken.
    """
    games = GameBatch.deal(n, seed=seed, stream=Stream.EVAL_DEAL)
    numbers, rows = np.arange(n, dtype=np.uint64), np.arange(n)
    player = NetworkPlayer(name="policy", evaluator=evaluator, temperature=1.0)
    open_plies = np.zeros((N_PLIES, n), np.bool_)
    for ply in range(N_PLIES):
        legal = games.legal()
        open_plies[ply] = has_choice(legal)
        rng = PlayRng(seed=seed, games=numbers, plies=games.n_plays)
        games.play(player.choose(games, rows, rng, np.full(n, LOWEST_BID, np.uint8)))
    plies, chosen = _spread(open_plies, n, np.random.default_rng(seed))
    return Positions(_replayed(games, chosen, plies), chosen.astype(np.uint64), seed)


def _spread(
    open_plies: NDArray[np.bool_], n: int, random: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Plies and games of n of the decisions in bool[28, games], at equal steps, then shuffled."""
    shuffled = random.permutation(open_plies.shape[1])  # so that steps do not follow the games
    plies, columns = np.nonzero(open_plies[:, shuffled])
    at = random.permutation(np.arange(n) * len(plies) // n)
    return plies[at], shuffled[columns[at]]


def _replayed(games: GameBatch, rows: NDArray[np.intp], plies: NDArray[np.intp]) -> GameBatch:
    """The games of these rows as they stood after so many plies each."""
    again = GameBatch(games.hands[rows], games.decl[rows], games.leader[rows])
    history = games.history[rows]
    for ply in range(N_PLIES):
        again.play(np.where(plies > ply, history[:, ply], 255))
    return again


@dataclass(frozen=True)
class Reference:
    """What plays are worth. values: f8[n, 7] by slot for the side to play, NaN where not legal.

    A play's value is its mean outcome, win +1, tie 0, loss -1 by points, over worlds that are
    solved with all hands open: all there are, or `n_worlds` drawn independently.
    """

    values: NDArray[np.float64]
    n_worlds: int

    @cached_property
    def best(self) -> NDArray[np.float64]:
        """Value of the best play, f8[n]."""
        best: NDArray[np.float64] = np.nanmax(self.values, axis=1)
        return best

    @cached_property
    def regrets(self) -> NDArray[np.float64]:
        """What each play loses against the best, f8[n, 7]; 0 where not legal."""
        return np.nan_to_num(self.best[:, None] - self.values)

    @cached_property
    def matters(self) -> NDArray[np.bool_]:
        """Whether it matters what is played, bool[n]."""
        return np.asarray(self.regrets.max(axis=1) > EQUAL)

    def first(self, n: int) -> Reference:
        """That of the first n positions."""
        return Reference(self.values[:n], self.n_worlds)


def reference(positions: Positions, *, n_worlds: int, seed: int, pool: SolverPool) -> Reference:
    """Solve every play of every position. `seed`: of the worlds, not that of any search."""
    games = positions.games
    means = np.full((len(games), N_PLIES), np.nan)
    few = world_counts(games) <= n_worlds
    for row in np.flatnonzero(few):
        hands = WorldSet(games, int(row)).enumerate(n_worlds)
        means[row] = _mean_outcomes(games, np.array([row]), hands[None], pool)[0]
    rows = np.flatnonzero(~few)
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        hands = sample_worlds(
            games, part, n_worlds, seed=seed, game_numbers=positions.numbers[part]
        )
        means[part] = _mean_outcomes(games, part, hands, pool)
    return Reference(slot_values(games, np.arange(len(games)), means), n_worlds)


def _mean_outcomes(
    games: GameBatch, rows: NDArray[np.intp], hands: NDArray[np.uint32], pool: SolverPool
) -> NDArray[np.float64]:
    """Mean outcomes f8[k, 28] by domino over the worlds u4[k, n, 4]; NaN where not legal."""
    positions = world_positions(games, rows, hands)
    values = pool.play_values(positions.reshape(-1)).reshape(*hands.shape[:2], N_DOMINOES)
    taken = games.points[rows].astype(np.int64)
    ahead = (taken[:, 0] - taken[:, 1])[:, None, None] + values
    sign = 1 - 2 * (games.to_play[rows].astype(np.int64) & 1)
    outcomes = np.sign(ahead) * sign[:, None, None]
    return np.where((values == NO_PLAY).any(axis=1), np.nan, outcomes.mean(axis=1))
