"""Rollouts: games that go on side by side, forced plays made, until so many plays are made in each.

    rollouts = RolloutGames(games)
    obs, evals = np.empty(len(games), OBS_DTYPE), np.empty((len(games), 8), np.float32)
    while n := rollouts.advance(obs):
        evaluator.evaluate(obs[:n], evals[:n])
        rollouts.play_greedy(evals[:n])

The GIL is released while rollouts advance.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch

def laid_out(games: GameBatch, rows: ArrayLike | None, hands: ArrayLike) -> GameBatch:
    """Games in which the dominoes still held lie as in the worlds given: a batch of k * n games.

    Plays, points and the trick on the table stay. World j of listed game i is game i * n + j.

    Args:
        games: any number of games.
        rows: int [k], may repeat; None for all games.
        hands: uint32 [k, n, 4], as `worlds.sample_worlds` gives them.

    Raises:
        ValueError: a layout does not deal out the dominoes still held in its game (voids are not
            looked at), or a shape does not fit.
        IndexError: a row is out of range.
    """

def rewound(games: GameBatch, n_plays: int) -> GameBatch:
    """Every game as it was after its first n_plays plays, with the same dominoes dealt.

    Raises ValueError for a game with fewer plays.
    """

class RolloutGames:
    """Copies of games that go on side by side; a rollout is a row of `games`."""

    games: GameBatch  # as they stand

    def __init__(self, games: GameBatch, *, until: ArrayLike = 28) -> None:
        """until: plays after which a rollout stops, 0..28, one for all or int [n] for each."""

    def __len__(self) -> int:
        """Number of rollouts."""

    @property
    def waiting(self) -> NDArray[np.int64]:
        """Rollouts that the last `advance` gave an observation of, ascending, int64 [m]."""

    def advance(self, obs: np.ndarray) -> int:
        """Make the forced plays of every rollout, and observe where there is a choice.

        Args:
            obs: OBS_DTYPE, contiguous, with room for every rollout; the first m are written.

        Returns:
            m, how many rollouts wait for a play, in ascending order; 0 when all have stopped.

        Raises:
            ValueError: obs is something else or too short.
            RuntimeError: rollouts still wait for plays.
        """

    def leave(self, which: NDArray[np.bool_]) -> None:
        """The waiting rollouts marked, bool [m], stop where they are; the others wait on.

        ValueError for another shape or dtype.
        """

    def play_greedy(self, evals: NDArray[np.float32]) -> None:
        """Every waiting rollout plays its legal slot of the largest prior, the lowest of equals.

        evals: float32 [m, 8], as evaluators fill it. ValueError for another shape.
        """
