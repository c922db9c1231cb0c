"""Games side by side that a teacher labels; observations out, finished games back."""

from zebfast.core.options import TeachingOptions
from zebfast.core.selfplay import RunningGames

class LabelledGames(RunningGames):
    """n_games games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game and its labels depend only on (seed, its number, the options, the evaluations): never on
    how many run beside it. One select solves for some milliseconds at most.
    """

    def __init__(
        self,
        n_games: int,
        *,
        options: TeachingOptions,
        seed: int,
        first_game: int = 0,
        stride: int = 1,
    ) -> None:
        """Deals come from stream 0 of the seed, plays from 1, random plays from 2, worlds from 5,
        which decisions are labelled from 9.

        The records' policy holds labels as zebfast.selfplay.play_values packs them.
        """

    def clear_cache(self) -> None:
        """Drop what evaluations have shown of games under way: those to come are another network's."""

    def counts(self) -> dict[str, int]:
        """Totals since the start: games, plays, labels, rollouts, evaluations, solver_calls."""

    @property
    def nbytes(self) -> int:
        """Memory of games, rollouts and the solver in bytes."""
