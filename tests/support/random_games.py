"""Whole legal games without a search, for example files whose content does not matter."""

from __future__ import annotations

import numpy as np

from zebfast.core.engine import GameBatch
from zebfast.core.records import GAME_DTYPE


def random_games(n: int, seed: int = 0) -> np.ndarray:
    """GAME_DTYPE [n]: random legal games with random visit counts as targets."""
    rng = np.random.default_rng(seed)
    batch = GameBatch.deal(n, seed=seed)
    games = np.zeros(n, GAME_DTYPE)
    games["hands"], games["decl"], games["leader"] = batch.hands, batch.decl, batch.leader
    for ply in range(28):
        legal = (batch.observe()["legal"][:, None] >> np.arange(7)) & 1
        games["policy"][:, ply] = rng.integers(1, 200, (n, 7)) * legal
        batch.play_random(seed=seed, stream=1)
    games["plays"] = batch.history
    return games
