"""Types of selfplay.pyx; what everything does is said there, where help() shows it."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from zebfast.core.engine import Game
from zebfast.core.network import Network
from zebfast.core.options import SearchOptions
from zebfast.core.policy import PolicyFunction, PolicyRun

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
    asking: PolicyRun  # how far calls of the opponent are

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
        opponent: PolicyFunction | None = None,
        opponent_share: float = 0.0,
    ) -> Self: ...
    @property
    def replaced(self) -> int: ...
    def asked(self) -> Game: ...
    def clear_cache(self) -> None: ...
    def counts(self) -> dict[str, int]: ...
    @property
    def nbytes(self) -> int: ...
