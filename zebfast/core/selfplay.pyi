"""Types of selfplay.pyx; what everything does is said there, where help() shows it."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from zebfast.core.network import Network
from zebfast.core.options import SearchOptions

MOST_GAMES: int

class RunningGames:
    room: int  # most observations that one select hands out

    def allow(self, limit: int) -> None: ...
    def begin(self, starts: NDArray[np.void]) -> None: ...
    @property
    def n_unstarted(self) -> int: ...
    def select(self, obs: np.ndarray) -> int: ...
    def update(self, evals: np.ndarray) -> None: ...
    @property
    def waiting(self) -> int: ...
    def run(
        self,
        network: Network,
        obs: np.ndarray,
        evals: NDArray[np.float32],
        *,
        seconds: float,
        until: int,
    ) -> tuple[bool, dict[str, float]]: ...
    def take(self) -> np.ndarray: ...

class SelfPlayForest(RunningGames):
    def __new__(
        cls,
        n_trees: int,
        *,
        options: SearchOptions,
        seed: int,
        first_game: int = 0,
        stride: int = 1,
        worlds: str = "sampled",
        cache_mb: int = 0,
        given: bool = False,
    ) -> Self: ...
    def clear_cache(self) -> None: ...
    def counts(self) -> dict[str, int]: ...
    @property
    def nbytes(self) -> int: ...
