"""Observations of hands that are played for contracts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
