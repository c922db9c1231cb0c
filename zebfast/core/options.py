"""How a tree is searched, checked once so that the C core can trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zebfast.core.forest import MAX_NODES, MAX_VISITS, MIN_NODES

#: Deals that a self-play tree may search. "true" is the published way: the tree sees all hands.
WORLDS = ("true",)


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of one PUCT search.

    Attributes:
        n_simulations: visits of the root's plays at which a search is complete; visits kept from
            the tree of the play before count.
        max_nodes: positions a tree can hold, 64 bytes each (where plays are unusually many it is
            full a little earlier). A full tree ends the search of the play at hand with the
            visits it has; the next play frees what its subtree leaves.
        c_puct: weight of the prior against the mean value.
        temperature: plays are drawn with probability visits ** (1 / temperature); 0 = most visited.
        noise_alpha: parameter of the Dirichlet noise at the root.
        noise_fraction: share of that noise in the root's priors; 0 = none.
    """

    n_simulations: int = 200
    max_nodes: int = 512
    c_puct: float = 1.4
    temperature: float = 1.0
    noise_alpha: float = 0.5
    noise_fraction: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.n_simulations <= MAX_VISITS:
            raise ValueError(
                f"n_simulations is {self.n_simulations}, but must be from 1 to {MAX_VISITS}"
            )
        if not MIN_NODES <= self.max_nodes <= MAX_NODES:
            raise ValueError(
                f"max_nodes is {self.max_nodes}, but must be from {MIN_NODES} to {MAX_NODES}"
            )
        _check("c_puct", self.c_puct, self.c_puct > 0, "positive")
        _check("temperature", self.temperature, self.temperature >= 0, "0 or more")
        _check("noise_alpha", self.noise_alpha, self.noise_alpha > 0, "positive")
        _check("noise_fraction", self.noise_fraction, 0 <= self.noise_fraction <= 1, "from 0 to 1")


def _check(name: str, value: float, good: bool, wanted: str) -> None:
    if not (math.isfinite(value) and good):
        raise ValueError(f"{name} is {value}, but must be {wanted}")
