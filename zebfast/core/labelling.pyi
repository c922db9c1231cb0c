"""Games side by side that a teacher labels; observations out, finished games back."""

from zebfast.core.selfplay import RunningGames

TEACHERS: tuple[str, ...]

class LabelledGames(RunningGames):
    """n_games games at once, numbered first_game, first_game + stride, ..., until a limit.

    A game and its labels depend only on (seed, its number, the options, the evaluations): never on
    how many run beside it. One select solves for some milliseconds at most.
    """

    def __init__(
        self,
        n_games: int,
        *,
        teacher: str,
        seed: int,
        first_game: int = 0,
        stride: int = 1,
        n_worlds: int = 0,
        label_share: float = 1.0,
        temperature: float = 1.0,
        explore: float = 0.0,
        exact_tricks: int = 0,
    ) -> None:
        """Deals come from stream 0 of the seed, plays from 1, random plays from 2, worlds from 5,
        which decisions are labelled from 9.

        The records' policy holds labels as zebfast.selfplay.play_values packs them.

        Args:
            teacher: one of TEACHERS. exact: final points under best play by all four seats with
                open hands. rollout: when all seats play the network's favourites; a rollout of the
                deal itself that the game then follows is not played again.
            n_worlds: a label is the mean over so many worlds, drawn from what the player knows as
                sample_worlds does, or all where there are no more; 0 = the deal's own hands.
            label_share: of the decisions (two legal plays or more) that are labelled.
            temperature: of the game's plays, drawn from policy ** (1 / temperature); 0 = favourites.
            explore: share of the game's plays that are random.
            exact_tricks: rollouts are solved where so many tricks are left.
        """

    def clear_cache(self) -> None:
        """Drop what evaluations have shown of games under way: those to come are another network's."""

    def counts(self) -> dict[str, int]:
        """Totals since the start: games, plays, labels, rollouts, evaluations, solver_calls."""

    @property
    def nbytes(self) -> int:
        """Memory of games, rollouts and the solver in bytes."""
