"""Random numbers for players: the shared counter-based generator, over whole arrays at once.

One 64-bit number belongs to each (seed, game, ply) of stream 4, whoever plays there. A player
therefore needs no generator of its own and the same game comes out whatever it is batched with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zebfast import rules
from zebfast.rules import Stream

_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class PlayDraws:
    """The numbers of one set of rows about to play: stream EVAL_PLAY of `seed`.

    games: u8[k] game numbers within the match. plies: u1[k] plays already made in each game.
    """

    seed: int
    games: NDArray[np.uint64]
    plies: NDArray[np.uint8]

    def take(self, rows: NDArray[np.intp]) -> PlayDraws:
        """The draws of a subset of the rows, by position."""
        return PlayDraws(seed=self.seed, games=self.games[rows], plies=self.plies[rows])

    def bits(self) -> NDArray[np.uint64]:
        """The 64-bit number of each row, u8[k]: `rules.bits(rules.stream_key(...), ply)`."""
        # The formulas in `rules` only add, multiply, shift and mask, so they hold for whole arrays
        # of 64-bit numbers as they stand; that keeps their one definition.
        key = rules.stream_key(self.seed, Stream.EVAL_PLAY, cast(Any, self.games))
        numbers = rules.bits(key, cast(Any, self.plies.astype(np.uint64)))
        return cast(NDArray[np.uint64], numbers)

    def below(self, limits: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """A number in 0..limits-1 for each row, int64[k]: `rules.bounded`; limits up to 2**31."""
        number, limit = self.bits(), limits.astype(np.uint64)
        low = ((number & _LOW_HALF) * limit) >> _HALF
        high = (number >> _HALF) * limit + low
        return (high >> _HALF).astype(np.int64)

    def uniform(self) -> NDArray[np.float64]:
        """A number in [0, 1) for each row, float64[k], from the top 53 bits."""
        return (self.bits() >> np.uint64(11)).astype(np.float64) * 2.0**-53
