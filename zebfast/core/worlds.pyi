"""Types of worlds.pyx; what everything does is said there, where help() shows it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch
from zebfast.rules import Stream

class ImpossibleWorlds(ValueError): ...

def world_counts(
    games: GameBatch, rows: ArrayLike | None = None, viewers: ArrayLike | None = None
) -> NDArray[np.uint64]: ...
def sample_worlds(
    games: GameBatch,
    rows: ArrayLike | None,
    n: int,
    *,
    seed: int,
    game_numbers: ArrayLike,
    stream: int = Stream.EVAL_WORLDS,
    first: int = 0,
    viewers: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> NDArray[np.uint32]: ...
def world_positions(games: GameBatch, rows: ArrayLike | None, hands: ArrayLike) -> np.ndarray: ...

class WorldSet:
    def __init__(
        self,
        games: GameBatch,
        row: int,
        *,
        viewer: int | None = None,
        weights: ArrayLike | None = None,
    ) -> None: ...
    @staticmethod
    def from_knowledge(
        *,
        hidden: Sequence[int],
        sizes: Sequence[int],
        barred: Sequence[Sequence[int]],
        viewer: int,
        hand: Sequence[int],
        weights: ArrayLike | None = None,
    ) -> WorldSet: ...
    @property
    def count(self) -> int: ...
    @property
    def viewer(self) -> int: ...
    @property
    def hidden(self) -> list[int]: ...
    @property
    def barred(self) -> list[list[int]]: ...
    def __len__(self) -> int: ...
    def sample(
        self,
        n: int,
        *,
        seed: int,
        game: int = 0,
        stream: int = Stream.EVAL_WORLDS,
        first: int = 0,
    ) -> NDArray[np.uint32]: ...
    def unrank(self, ranks: ArrayLike) -> NDArray[np.uint32]: ...
    def rank(self, hands: ArrayLike) -> NDArray[np.uint64]: ...
    def enumerate(self, limit: int = 1_000_000) -> NDArray[np.uint32]: ...
    def probability(self, hands: ArrayLike) -> NDArray[np.float64]: ...
