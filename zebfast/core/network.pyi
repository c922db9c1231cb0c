"""Types of network.pyx; what everything does is said there, where help() shows it."""

from collections.abc import Mapping
from typing import Self

import numpy as np

def kernels() -> list[tuple[str, str, bool]]: ...

class Network:
    ranges: np.ndarray | None  # of int8

    def __new__(
        cls,
        width: int,
        n_blocks: int,
        belief_head: bool,
        tensors: Mapping[str, np.ndarray],
        *,
        precision: str = "fp32",
        kernel: str | None = None,
        ranges: np.ndarray | None = None,
    ) -> Self: ...
    @property
    def width(self) -> int: ...
    @property
    def n_blocks(self) -> int: ...
    @property
    def contract(self) -> bool: ...
    @property
    def belief_head(self) -> bool: ...
    @property
    def precision(self) -> str: ...
    @property
    def kernel(self) -> str: ...
    @property
    def nbytes(self) -> int: ...
    def evaluate(self, obs: np.ndarray, evals: np.ndarray) -> None: ...
    def scores(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]: ...
    def blocks(self, x: np.ndarray) -> None: ...
