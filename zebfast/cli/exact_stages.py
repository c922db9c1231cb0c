"""Stages of the exact tools, for `zebfast bench` and bench/: solver and world sampler.

Positions come from random games with fixed seeds: the same work in every run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zebfast.cli.stages import SEED, Done, Stage, Work
from zebfast.core.engine import GameBatch
from zebfast.core.solve import Solver
from zebfast.core.worlds import sample_worlds
from zebfast.rules import HALF_POINTS, N_PLIES, N_SEATS

WORLDS_EACH = 5000  # of one information set: what the call itself costs is shared by so many


def games_at(n_plays: int, n: int) -> GameBatch:
    """n random games, n_plays random plays into them."""
    batch = GameBatch.deal(n, seed=SEED)
    for _ in range(n_plays):
        batch.play_random(seed=SEED)
    return batch


def solver_work(tricks: int, n: int) -> tuple[np.ndarray, NDArray[np.int64]]:
    """POSITION_DTYPE [n] at the start of a trick with so many left; points that win each game.

    The second, int64 [n], are those that team 0 still needs for 22 of 42.
    """
    batch = games_at(N_PLIES - N_SEATS * tricks, n)
    return batch.positions(), HALF_POINTS + 1 - batch.points[:, 0].astype(np.int64)


def exact_deals(n: int = 100) -> Work:
    """Fresh deals, exact points, one core."""
    positions, _ = solver_work(7, n)
    solver = Solver()

    def work() -> Done:
        before = solver.nodes
        solver.values(positions)
        return Done(n, {"nodes_per_deal": (solver.nodes - before) / n})

    return work


def worlds(n_plays: int = 0, n_games: int = 40) -> Work:
    """Worlds drawn at one ply of random games, one core."""
    batch = games_at(n_plays, n_games)
    numbers = np.arange(n_games, dtype=np.uint64)

    def work() -> Done:
        drawn = sample_worlds(
            batch, np.arange(n_games), WORLDS_EACH, seed=SEED, game_numbers=numbers
        )
        return Done(drawn.shape[0] * drawn.shape[1])

    return work


STAGES = (
    Stage("exact_deals", "deals/s", "whole deals solved exactly, one core", exact_deals),
    Stage("worlds", "worlds/s", "worlds drawn at the first play, one core", worlds),
)
