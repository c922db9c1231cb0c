"""Types of labelling.pyx; what everything does is said there, where help() shows it."""

from typing import Self

from zebfast.core.options import TeachingOptions
from zebfast.core.selfplay import RunningGames

class LabelledGames(RunningGames):
    def __new__(
        cls,
        n_games: int,
        *,
        options: TeachingOptions,
        seed: int,
        first_game: int = 0,
        stride: int = 1,
        given: bool = False,
    ) -> Self: ...
    def clear_cache(self) -> None: ...
    def counts(self) -> dict[str, int]: ...
    @property
    def nbytes(self) -> int: ...
