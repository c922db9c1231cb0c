"""Types of forest.pyx; what everything does is said there, where help() shows it."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch
from zebfast.core.network import Network
from zebfast.core.options import SearchOptions
from zebfast.rules import Stream

MIN_NODES: int
MAX_NODES: int
MAX_VISITS: int
MAX_WORLDS: int
MAX_CACHE_MB: int

WORLDS: tuple[str, ...]

COUNTS: tuple[str, ...]

def check_worlds(worlds: str) -> None: ...

class Forest:
    def __new__(
        cls,
        games: GameBatch,
        *,
        options: SearchOptions,
        seed: int = 0,
        game_numbers: ArrayLike | None = None,
        worlds: str = "sampled",
        stream: int = Stream.WORLDS,
    ) -> Self: ...
    def __len__(self) -> int: ...
    def select(self, leaves: np.ndarray) -> int: ...
    def update(self, evals: np.ndarray) -> None: ...
    def run(
        self, network: Network, leaves: np.ndarray, evals: NDArray[np.float32], *, seconds: float
    ) -> bool: ...
    @property
    def waiting(self) -> int: ...
    def visits(self) -> NDArray[np.uint16]: ...
    def values(self) -> NDArray[np.float32]: ...
    def policy(self) -> NDArray[np.uint16]: ...
    def choices(self) -> NDArray[np.uint8]: ...
    def advance(self, tree: int, domino: int) -> int: ...
    def counts(self) -> dict[str, int]: ...
    def dump(self, tree: int) -> list[tuple[float, list[tuple[float, int, float, int]]]]: ...
    def drawn_worlds(self, tree: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]: ...
