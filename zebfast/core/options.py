"""How trees are searched and games are labelled, checked once so that the C core can trust it.

The C structs of these records, and what fills them, are written by ``tools/gen_options.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from zebfast.core.forest import MAX_NODES, MAX_VISITS, MAX_WORLDS, MIN_NODES
from zebfast.rules import N_TRICKS
from zebfast.system.settings import SettingError, check, setting

ROOTS = ("puct", "gumbel")
TEACHERS = ("exact", "rollout")


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of one search: of its tree, its root, and of what a game saves on.

    Attributes:
        n_simulations: visits kept from the tree of the play before count.
        max_nodes: where plays are unusually many a tree is full a little earlier. A full tree ends
            the search of the play at hand with the visits it has; the next play frees what its
            subtree leaves.
        n_worlds: where worlds are sampled; 32 bytes each. All there are where that is fewer, and
            never more than simulations: from n_simulations on, every visit of a play searches a
            fresh world.
        exact_tricks: the trick on the table is one of them. Hands that one side has won with 22
            points are valued so, too. With 7 the network gives priors only: of 3 to 7, by far the
            strongest and the fastest with the published medium weights.
        root: also what a play's policy target is. ``puct``: the formula that holds below the root,
            and its visits. ``gumbel``: sequential halving over all legal plays, and the policy
            improved by the values it found (Danihelka et al. 2022, csrc/gumbel.h).
        temperature: with the puct root, plays are drawn with probability
            visits ** (1 / temperature). The gumbel root does not look at it.
        noise_alpha, noise_fraction: of the puct root.
        early_stop: a play of temperature 0 stays what it was; no play's share of the policy target
            moves by more than the simulations saved, over n_simulations. The gumbel root spends its
            few simulations either way.
        transpositions: in one world, or on the true deal, positions at the start of a trick with
            the same hands left, leader and points are one node, with the evaluation of the order
            of play by which it was reached first.
        full_share: playout-cap randomisation (Wu 2019): the other decisions only choose a play,
            with no noise. Of self-play, as skip_decided.
        skip_decided: such a hand is played out by dominoes drawn uniformly.
    """

    n_simulations: int = setting(
        200, "Visits of the root that end the search of a play.", least=1, most=MAX_VISITS
    )
    max_nodes: int = setting(
        512,
        "Positions a tree can hold, 64 bytes each.",
        least=MIN_NODES,
        most=MAX_NODES,
        flag="max_mcts_nodes",
    )
    n_worlds: int = setting(16, "Worlds drawn for each searched play.", least=1, most=MAX_WORLDS)
    exact_tricks: int = setting(
        7,
        "Positions with at most this many tricks left are valued by the solver, not by the "
        "network; 0 = none.",
        least=0,
        most=N_TRICKS,
    )
    c_puct: float = setting(1.4, "Weight of priors in the search.", above=0, most=1_000)
    root: str = setting(
        "puct",
        "How a root's simulations are shared out: by visits and priors, or by sequential halving, "
        "meant for 16 to 64 of them.",
        choices=ROOTS,
    )
    temperature: float = setting(
        1.0,
        "Of plays drawn from visits, or with a teacher from the policy; 0 = best.",
        least=0,
        most=1_000,
    )
    noise_fraction: float = setting(0.0, "Share of Dirichlet noise at the root.", least=0, most=1)
    noise_alpha: float = setting(0.5, "Parameter of that noise.", above=0, most=1_000)
    gumbel_scale: float = setting(
        1.0, "Of the noise that the gumbel root explores by; 0 = none.", least=0, most=1_000
    )
    early_stop: bool = setting(
        False, "End a search whose most visited play can no longer be overtaken (puct root)."
    )
    transpositions: bool = setting(
        False, "Orders of play that lead to the same start of a trick share one node in a world."
    )
    full_share: float = setting(
        1.0,
        "Share of plays searched in full and recorded; the others get --fast-simulations and no "
        "policy target.",
        above=0,
        most=1,
    )
    fast_simulations: int = setting(
        16, "Simulations of plays that are not recorded.", least=1, most=MAX_VISITS
    )
    skip_decided: bool = setting(
        False, "Play out hands that one side has won at random, without search and policy targets."
    )

    def __post_init__(self) -> None:
        check(self)
        if self.root == "gumbel" and self.noise_fraction > 0:
            raise SettingError(
                f"noise_fraction is {self.noise_fraction}: expected 0 with the gumbel root, whose "
                "noise is gumbel_scale"
            )
        if self.full_share < 1 and self.fast_simulations > self.n_simulations:
            raise SettingError(
                f"fast_simulations is {self.fast_simulations}: expected at most n_simulations, "
                f"{self.n_simulations}"
            )


@dataclass(frozen=True, kw_only=True)
class TeachingOptions:
    """What games are labelled how; together with (seed, weights) it decides every label.

    Attributes:
        teacher: ``exact``: points under best play with open hands, by the solver. ``rollout``:
            points when all four seats go on with the network's favourites; a rollout of the deal
            itself that the game then follows is not played again.
        label_share: of the decisions with two legal plays or more.
        n_worlds: drawn from what the player knows as sample_worlds does, or all where there are no
            more.
        temperature: plays are drawn from policy ** (1 / temperature).
        exact_tricks: rollouts end, and are solved, where so many tricks are left.
    """

    teacher: str = setting("exact", "Who labels.", choices=TEACHERS)
    label_share: float = setting(
        1.0, "Share of the decisions that the teacher labels.", above=0, most=1
    )
    n_worlds: int = setting(
        0,
        "Worlds that a label is the mean over; 0 = the deal itself, which is one of them.",
        least=0,
        most=MAX_WORLDS,
        flag="label_worlds",
    )
    temperature: float = setting(
        1.0, "Of the game's plays; 0 = the network's favourites.", least=0, most=1_000
    )
    explore: float = setting(0.1, "Share of random plays in a game.", least=0, most=1)
    exact_tricks: int = setting(
        2, "Rollouts are solved where so many tricks are left.", least=0, most=N_TRICKS
    )

    def __post_init__(self) -> None:
        check(self)
