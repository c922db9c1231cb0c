"""Types of rollouts.pyx; what everything does is said there, where help() shows it."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch
from zebfast.core.network import Network
from zebfast.core.policy import PolicyFunction, PolicyRun

def laid_out(games: GameBatch, rows: ArrayLike | None, hands: ArrayLike) -> GameBatch: ...
def past_choices(games: GameBatch) -> tuple[np.ndarray, NDArray[np.int32]]: ...

class RolloutGames:
    games: GameBatch  # as they stand

    def __new__(cls, games: GameBatch, *, until: ArrayLike = 28) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def waiting(self) -> NDArray[np.int64]: ...
    def advance(self, obs: np.ndarray) -> int: ...
    def leave(self, which: NDArray[np.bool_]) -> None: ...
    def play_greedy(self, evals: NDArray[np.float32]) -> None: ...
    def run(
        self,
        network: Network,
        *,
        seconds: float,
        values: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]] | None = None,
        model: tuple[PolicyFunction, NDArray[np.uint8], int, PolicyRun] | None = None,
    ) -> bool: ...
