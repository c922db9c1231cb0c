"""Games of self-play side by side, a search tree each; leaves out, finished games back."""

import numpy as np

from zebfast.core.options import SearchOptions

class RunningGames:
    """Games side by side that wait for evaluations together; they end in any order.

    Not safe for use by two threads at once.
    """

    room: int  # most observations that one select hands out

    def allow(self, limit: int) -> None:
        """Let games be started up to, not including, this number in the queue.

        Must not shrink (ValueError).
        """

    def select(self, obs: np.ndarray) -> int:
        """Run the games to where they need the network, playing as many dominoes as that takes.

        Args:
            obs: OBS_DTYPE [room], written from the front. The GIL is released.

        Returns:
            Number of observations; 0 = all allowed games are finished.
        """

    def update(self, evals: np.ndarray) -> None:
        """Apply the evaluations of the last select's observations, float32 [n, 8], in order.

        Raises:
            FloatingPointError: an evaluation is not finite; nothing was applied.
        """

    def take(self) -> np.ndarray:
        """Finished games in order of their number, up to the first unfinished: GAME_DTYPE [k]."""

class SelfPlayForest(RunningGames):
    """n_trees games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game depends only on (seed, its number, options, the evaluations of its leaves): never on how
    many run beside it. A game waits for one leaf at a time, none of them in the cache.
    """

    def __init__(
        self,
        n_trees: int,
        *,
        options: SearchOptions,
        seed: int,
        first_game: int = 0,
        stride: int = 1,
        worlds: str = "sampled",
        cache_mb: int = 0,
    ) -> None:
        """Deals come from stream 0 of the seed, plays from 1, root noise from 2 (puct) and 8
        (gumbel), worlds from 5, which decisions are searched in full from 9.

        Args:
            worlds: one of zebfast.core.forest.WORLDS. On sampled worlds every play has a new tree;
                on the true deal the played subtree is kept.
            cache_mb: MiB for evaluations by information state, which are asked for once; 0 = none.
                76 bytes each, exact on all 36 bytes of an observation, the least used of four
                makes room.
        """

    def clear_cache(self) -> None:
        """Drop the cached evaluations: those to come are another network's."""

    def counts(self) -> dict[str, int]:
        """Totals since the start, by the names in zebfast.core.forest.COUNTS."""

    @property
    def nbytes(self) -> int:
        """Memory of the trees, the games and the cache in bytes."""
