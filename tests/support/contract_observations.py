"""Observations of hands that are played for contracts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.rules import Contract


def for_contracts(observations: NDArray[Any], *, seed: int = 1) -> NDArray[Any]:
    """The same observations, two in three of them of hands that are played for contracts."""
    rng, obs = np.random.default_rng(seed), observations.copy()
    n = len(obs)
    obs["contract"]["bid"] = np.where(rng.random(n) < 2 / 3, rng.integers(30, 49, n), 0)
    obs["contract"]["bidder"] = rng.integers(0, 4, n)
    obs["contract"]["shaker"] = rng.integers(0, 4, n)
    obs["contract"]["marks"] = rng.integers(0, 256, n)
    obs["contract"]["calls"] = rng.choice([0, 1, 30, 31, 36, 42, 48], (n, 4))
    obs["contract"][obs["contract"]["bid"] == 0] = 0
    return obs


def random_contract(seed: int, leader: int) -> Contract:
    """A contract that the hand led by this seat can be played for."""
    rng = np.random.default_rng(seed)
    bid, bidder = int(rng.integers(30, 44)), (leader + 2 * int(rng.integers(2))) % 4
    calls = [int(rng.choice([0, 1, *range(30, bid + 1)])) for _ in range(4)]
    calls[bidder] = bid
    marks = (int(rng.integers(8)), int(rng.integers(8)))
    told = (calls[0], calls[1], calls[2], calls[3])
    return Contract(bid, bidder, int(rng.integers(4)), marks, told)
