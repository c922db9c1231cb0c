"""Types of policy.pyx; what everything does is said there, where help() shows it."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zebfast.core.engine import GameBatch

POLICY_ABI: int
PROTOTYPE: Any  # a class of ctypes

class IllegalAnswer(ValueError): ...

def views(games: GameBatch, rows: ArrayLike | None, *, bids: ArrayLike) -> np.ndarray: ...
def random_policy() -> PolicyFunction: ...
def play_out(
    first: PolicyFunction,
    second: PolicyFunction,
    games: GameBatch,
    *,
    first_team: ArrayLike,
    bids: ArrayLike,
    numbers: ArrayLike,
    seed: int,
    stream: int,
    run: PolicyRun,
) -> bool: ...

class PolicyRun:
    @property
    def calls(self) -> int: ...
    @property
    def at(self) -> int: ...
    @property
    def answer(self) -> int: ...

class PolicyFunction:
    def __new__(cls, function: Any, *, abi: int, replaces: bool = False) -> Self: ...
    @property
    def replaces(self) -> bool: ...
    @property
    def replaced(self) -> int: ...
    def plays(
        self,
        games: GameBatch,
        rows: ArrayLike | None,
        *,
        bids: ArrayLike,
        numbers: ArrayLike,
        seed: int,
        stream: int,
        run: PolicyRun,
    ) -> NDArray[np.uint8] | None: ...
    def answers(
        self, views: np.ndarray, randoms: ArrayLike, *, run: PolicyRun
    ) -> NDArray[np.int32]: ...
