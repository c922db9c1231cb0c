"""Types of house.pyx; what everything does is said there, where help() shows it."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.rules import HouseDeclaration

def plays_that_make(hand: SeatHand, layouts: ArrayLike) -> NDArray[np.uint32]: ...

class SeatHand:
    def __new__(
        cls, decl: int, *, bidder: int, leader: int, plays: Sequence[tuple[int, int]]
    ) -> Self: ...
    @property
    def decl(self) -> HouseDeclaration: ...
