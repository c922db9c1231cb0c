"""How a tree is searched, checked once so that the C core can trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zebfast.core.forest import MAX_NODES, MAX_VISITS, MAX_WORLDS, MIN_NODES, N_TRICKS, ROOTS


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of one search: of its tree, its root, and of what a game saves on.

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
        root: how visits are shared among the root's plays and what a play's policy target is.
            ``puct``: the formula that holds below the root, and its visits. ``gumbel``: sequential
            halving over all legal plays, and the policy improved by the values it found
            (Danihelka et al. 2022, csrc/gumbel.h); meant for 16 to 64 simulations.
        temperature: with the puct root, plays are drawn with probability
            visits ** (1 / temperature); 0 = most visited. The gumbel root does not look at it.
        noise_alpha: parameter of the Dirichlet noise at the puct root.
        noise_fraction: share of that noise in the root's priors; 0 = none.
        gumbel_scale: of the noise by which the gumbel root explores; 0 = none: its best play.
        early_stop: the puct root's search ends when its most visited play can no longer be
            overtaken. A play of temperature 0 stays what it was; no play's share of the policy
            target moves by more than the simulations saved, over n_simulations. The gumbel root
            spends its few simulations either way.
        transpositions: in one world, or on the true deal, positions at the start of a trick with
            the same hands left, leader and points are one node, with the evaluation of the order
            of play by which it was reached first.
        full_share: share of a game's decisions that are searched with n_simulations and recorded
            (playout-cap randomisation: Wu 2019); the others only choose a play, with
            fast_simulations and no noise, and have no policy target. Of self-play, as skip_decided.
        fast_simulations: see full_share.
        skip_decided: a hand that one side has won with 22 points is played out by dominoes drawn
            uniformly, without search and without policy targets.
    """

    n_simulations: int = 200
    max_nodes: int = 512
    n_worlds: int = 16
    exact_tricks: int = 7
    c_puct: float = 1.4
    root: str = "puct"
    temperature: float = 1.0
    noise_alpha: float = 0.5
    noise_fraction: float = 0.0
    gumbel_scale: float = 1.0
    early_stop: bool = False
    transpositions: bool = False
    full_share: float = 1.0
    fast_simulations: int = 16
    skip_decided: bool = False

    def __post_init__(self) -> None:
        _check_range("n_simulations", self.n_simulations, 1, MAX_VISITS)
        _check_range("max_nodes", self.max_nodes, MIN_NODES, MAX_NODES)
        _check_range("n_worlds", self.n_worlds, 1, MAX_WORLDS)
        _check_range("exact_tricks", self.exact_tricks, 0, N_TRICKS)
        _check("c_puct", self.c_puct, self.c_puct > 0, "positive")
        _check("temperature", self.temperature, self.temperature >= 0, "0 or more")
        _check("noise_alpha", self.noise_alpha, self.noise_alpha > 0, "positive")
        _check("noise_fraction", self.noise_fraction, 0 <= self.noise_fraction <= 1, "from 0 to 1")
        _check("gumbel_scale", self.gumbel_scale, self.gumbel_scale >= 0, "0 or more")
        _check("full_share", self.full_share, 0 < self.full_share <= 1, "above 0 and at most 1")
        _check_range("fast_simulations", self.fast_simulations, 1, MAX_VISITS)
        self._check_together()

    def _check_together(self) -> None:
        if self.root not in ROOTS:
            raise ValueError(f"root is {self.root!r}, but must be one of: {', '.join(ROOTS)}")
        if self.root == "gumbel" and self.noise_fraction > 0:
            raise ValueError(
                f"noise_fraction is {self.noise_fraction}, but must be 0 with the gumbel root: "
                "its noise is gumbel_scale"
            )
        if self.full_share < 1 and self.fast_simulations > self.n_simulations:
            raise ValueError(
                f"fast_simulations is {self.fast_simulations}, but must be at most n_simulations, "
                f"{self.n_simulations}"
            )


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, but must be from {least} to {most}")


def _check(name: str, value: float, good: bool, wanted: str) -> None:
    if not (math.isfinite(value) and good):
        raise ValueError(f"{name} is {value}, but must be {wanted}")
