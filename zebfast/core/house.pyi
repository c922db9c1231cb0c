"""Types of house.pyx; what everything does is said there, where help() shows it."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.whole_game_batch import WholeGameBatch
from zebfast.rules import HouseDeclaration

def plays_that_make(hand: SeatHand, layouts: ArrayLike) -> NDArray[np.uint32]: ...
def plays_that_make_it(
    games: WholeGameBatch,
    rows: ArrayLike | None,
    n: int,
    *,
    seed: int,
    numbers: ArrayLike,
    first: int = 0,
) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]: ...

class SeatHand:
    def __new__(
        cls, decl: int, *, bidder: int, leader: int, plays: Sequence[tuple[int, int]]
    ) -> Self: ...
    def tally(
        self, layout: Sequence[int], n: int, *, seed: int, number: int, first: int = 0
    ) -> tuple[NDArray[np.uint32], int]: ...
    @property
    def decl(self) -> HouseDeclaration: ...
