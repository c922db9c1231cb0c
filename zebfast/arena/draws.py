"""Random numbers for matches: the shared counter-based generator, over whole arrays at once.

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

LOWEST_BID, HIGHEST_BID = 30, 42  # bids in points; nobody may bid less, nobody can take more

_BID_DRAW = 29  # of a deal's stream: `rules.deal` takes draws 0 to 28
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
        plies = self.plies.astype(np.uint64)
        return _numbers(seed=self.seed, stream=Stream.EVAL_PLAY, games=self.games, indices=plies)

    def below(self, limits: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """A number in 0..limits-1 for each row, int64[k]: `rules.bounded`; limits up to 2**31."""
        return _scaled(self.bits(), limits.astype(np.uint64)).astype(np.int64)

    def uniform(self) -> NDArray[np.float64]:
        """A number in [0, 1) for each row, float64[k], from the top 53 bits."""
        return (self.bits() >> np.uint64(11)).astype(np.float64) * 2.0**-53


def random_bids(
    *, seed: int, deals: NDArray[np.uint64], stream: Stream = Stream.EVAL_DEAL
) -> NDArray[np.uint8]:
    """A bid u1[n] in 30..42 for each deal number, all equally likely.

    The first draw of the deals' own stream that a deal leaves free, so that it has one bid whoever
    plays it: `30 + rules.bounded(key, 29, 13)`.
    """
    index = np.full(len(deals), _BID_DRAW, dtype=np.uint64)
    numbers = _numbers(seed=seed, stream=stream, games=deals, indices=index)
    above = _scaled(numbers, np.uint64(HIGHEST_BID - LOWEST_BID + 1))
    return (above + np.uint64(LOWEST_BID)).astype(np.uint8)


def _numbers(
    *, seed: int, stream: Stream, games: NDArray[np.uint64], indices: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    # The formulas in `rules` only add, multiply, shift and mask, so they hold for whole arrays
    # of 64-bit numbers as they stand; that keeps their one definition.
    key = rules.stream_key(seed, stream, cast(Any, games))
    return cast(NDArray[np.uint64], rules.bits(key, cast(Any, indices)))


def _scaled(
    numbers: NDArray[np.uint64], limits: NDArray[np.uint64] | np.uint64
) -> NDArray[np.uint64]:
    """High 64 bits of the product; limits up to 2**31."""
    low = ((numbers & _LOW_HALF) * limits) >> _HALF
    high = (numbers >> _HALF) * limits + low
    return high >> _HALF
