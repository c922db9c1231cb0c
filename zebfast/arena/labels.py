"""Finished games of players as training records, each decision with a policy target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zebfast.core.engine import GameBatch
from zebfast.core.records import GAME_DTYPE

WEIGHT = 65535  # what a policy row of a record adds up to, but for rounding


def slot_values(
    batch: GameBatch, rows: NDArray[np.intp], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values f8[k, 28] by domino -> f8[k, 7] by slot of the seats to play in the games `rows`."""
    hands = batch.hands[rows, batch.to_play[rows]]
    slots: NDArray[np.float64] = np.take_along_axis(values, hands.astype(np.intp), axis=1)
    return slots


def label_games(
    batch: GameBatch, *, values: NDArray[np.float64] | None = None, temperature: float = 1.0
) -> NDArray[np.void]:
    """Finished games as GAME_DTYPE[n], a policy target for every play.

    Args:
        batch: n games, all over.
        values: f8[n, 28, 7] by ply and slot, NaN where a slot could not be played. The target is
            proportional to exp(value / temperature); where a row is all NaN, and everywhere if
            None, all weight is on the domino that was played.
        temperature: above 0, in the unit of the values.
    """
    games = np.zeros(len(batch), GAME_DTYPE)
    games["hands"], games["plays"] = batch.hands, batch.history
    games["decl"], games["leader"] = batch.decl, batch.leader
    own = np.take_along_axis(batch.hands, batch.seats[:, :, None].astype(np.intp), axis=1)
    games["policy"] = np.where(own == batch.history[:, :, None], WEIGHT, 0)
    if values is not None:
        known = ~np.isnan(values).all(axis=2)
        ahead = values[known] - np.nanmax(values[known], axis=1, keepdims=True)
        shares = np.where(np.isnan(ahead), 0.0, np.exp(ahead / temperature))
        weights = np.rint(WEIGHT * shares / shares.sum(axis=1, keepdims=True))
        games["policy"][known] = weights.astype(np.uint16)
    return games
