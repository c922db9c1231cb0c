"""What a player's own decisions take, for the tools that compare players."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from zebfast.arena.pairs import PlayRng
from zebfast.arena.players.base import Player
from zebfast.core.engine import GameBatch
from zebfast.core.masks import has_choice


class TimedPlayer:
    """A player with the CPU seconds and decisions of its own that it took.

    A decision is a play with a choice: more than one legal domino. The seconds are the process's,
    so what it does in threads counts, and what others do on the machine does not.
    """

    def __init__(self, player: Player) -> None:
        self.player = player
        self.name = player.name
        self.seconds = 0.0
        self.decisions = 0

    def choose(
        self,
        batch: GameBatch,
        rows: NDArray[np.intp],
        rng: PlayRng,
        bids: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """See Player.choose."""
        legal = batch.legal(rows)
        self.decisions += int(np.count_nonzero(has_choice(legal)))
        began = time.process_time()
        chosen = self.player.choose(batch, rows, rng, bids)
        self.seconds += time.process_time() - began
        return chosen
