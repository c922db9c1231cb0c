"""How a tree is searched, checked once so that the C core can trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zebfast.core.forest import MAX_NODES, MAX_VISITS, MAX_WORLDS, MIN_NODES, N_TRICKS


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of one PUCT search.

    Attributes:
        n_simulations: visits of the root's plays at which a search is complete; visits kept from
            the tree of the play before count.
        max_nodes: positions a tree can hold, 64 bytes each (where plays are unusually many it is
            full a little earlier). A full tree ends the search of the play at hand with the
            visits it has; the next play frees what its subtree leaves.
        n_worlds: worlds that a decision is searched on, where worlds are sampled; 32 bytes each.
            All there are where that is fewer, and never more than simulations: from n_simulations
            on, every visit of a play searches a fresh world.
        exact_tricks: positions with at most so many tricks left, the one on the table included,
            are valued by the solver instead of the network, and so are hands that one side has won
            with 22 points; 0 = off. With 7 the network gives priors only: of 3 to 7, by far the
            strongest and the fastest with the published medium weights.
        c_puct: weight of the prior against the mean value.
        temperature: plays are drawn with probability visits ** (1 / temperature); 0 = most visited.
        noise_alpha: parameter of the Dirichlet noise at the root.
        noise_fraction: share of that noise in the root's priors; 0 = none.
    """

    n_simulations: int = 200
    max_nodes: int = 512
    n_worlds: int = 16
    exact_tricks: int = 7
    c_puct: float = 1.4
    temperature: float = 1.0
    noise_alpha: float = 0.5
    noise_fraction: float = 0.0

    def __post_init__(self) -> None:
        _check_range("n_simulations", self.n_simulations, 1, MAX_VISITS)
        _check_range("max_nodes", self.max_nodes, MIN_NODES, MAX_NODES)
        _check_range("n_worlds", self.n_worlds, 1, MAX_WORLDS)
        _check_range("exact_tricks", self.exact_tricks, 0, N_TRICKS)
        _check("c_puct", self.c_puct, self.c_puct > 0, "positive")
        _check("temperature", self.temperature, self.temperature >= 0, "0 or more")
        _check("noise_alpha", self.noise_alpha, self.noise_alpha > 0, "positive")
        _check("noise_fraction", self.noise_fraction, 0 <= self.noise_fraction <= 1, "from 0 to 1")


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, but must be from {least} to {most}")


def _check(name: str, value: float, good: bool, wanted: str) -> None:
    if not (math.isfinite(value) and good):
        raise ValueError(f"{name} is {value}, but must be {wanted}")
