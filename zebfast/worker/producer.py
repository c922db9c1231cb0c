"""What the worker's loop knows of whoever plays the games."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one call of ``Producer.play`` gave.

    Attributes:
        games: GAME_DTYPE [G], in order of their number.
        n_examples: that a reader finds in them.
        finished: games that ended, those for later calls included, in ``seconds``.
        facts: how they were played, for the metadata of the example file.
        remark: what the batch's line says behind the words that every producer's has.
    """

    games: NDArray[np.void]
    n_examples: int
    finished: int
    seconds: float
    facts: Mapping[str, Any]
    remark: str = ""


class Producer(Protocol):
    """An endless sequence of games with the network's current weights."""

    @property
    def source(self) -> str:
        """``source`` of the examples, one of those in ``selfplay.examples``."""

    @property
    def next_game(self) -> int:
        """Number of the first game that no call has given yet."""

    def describe(self) -> str:
        """Half a sentence for people: who plays, with what."""

    def play(
        self,
        n_games: int,
        *,
        should_stop: Callable[[], bool],
        on_step: Callable[[int], None],
    ) -> Batch:
        """The next ``n_games``; fewer only when told to stop, which is asked often.

        ``on_step`` is told now and then how many of them are finished.
        """

    def close(self) -> None:
        """End its threads; it plays nothing afterwards."""
