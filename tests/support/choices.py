"""What a player chooses, for the tests of players."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import Player
from zebfast.core.engine import GameBatch


def choose(
    player: Player, batch: GameBatch, rows: NDArray[np.intp], numbers: NDArray[np.intp]
) -> NDArray[np.uint8]:
    """Its plays in these rows, which are the games of these numbers, under contracts of 30."""
    rng = PlayRng(seed=1, games=numbers.astype(np.uint64), plies=batch.n_plays[rows])
    return player.choose(batch, rows, rng, np.full(len(rows), 30, np.uint8))
