"""The searches that tools/search_quality.py compares: add a line to METHODS for another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zebfast.arena.players.options import MAX_WORLDS
from zebfast.arena.players.specs import MAX_SIMULATIONS, roomy
from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig

NO_SEARCH = "none"
#: What holds where a method says nothing else, whatever the defaults are. `worlds` and `cache_mb`
#: are of SelfPlayConfig, all else is of SearchOptions; without worlds there is no search.
PLAIN: Mapping[str, Any] = {
    "worlds": "sampled",
    "n_worlds": 16,
    "exact_tricks": 7,
    "root": "puct",
    "early_stop": False,
    "transpositions": False,
    "full_share": 1.0,
    "skip_decided": False,
    "cache_mb": 0,
}
METHODS: Mapping[str, Mapping[str, Any]] = {
    "policy": {"n_simulations": 1, "worlds": NO_SEARCH},
    "published": {"n_simulations": 200, "worlds": "true", "exact_tricks": 0},
    "puct-200": {"n_simulations": 200},
    "puct-64": {"n_simulations": 64},
    "puct-32": {"n_simulations": 32},
    "puct-16": {"n_simulations": 16},
    "gumbel-200": {"n_simulations": 200, "root": "gumbel"},
    "gumbel-64": {"n_simulations": 64, "root": "gumbel"},
    "gumbel-32": {"n_simulations": 32, "root": "gumbel"},
    "gumbel-16": {"n_simulations": 16, "root": "gumbel"},
    "puct-200-stop": {"n_simulations": 200, "early_stop": True},
    "puct-200-cap": {"n_simulations": 200, "full_share": 0.25},
    "puct-200-skip": {"n_simulations": 200, "skip_decided": True},
    "puct-200-k4": {"n_simulations": 200, "exact_tricks": 4},
    "puct-64-k4": {"n_simulations": 64, "exact_tricks": 4},
    "puct-32-k4": {"n_simulations": 32, "exact_tricks": 4},
    "puct-16-k4": {"n_simulations": 16, "exact_tricks": 4},
    "gumbel-200-k4": {"n_simulations": 200, "exact_tricks": 4, "root": "gumbel"},
    "gumbel-64-k4": {"n_simulations": 64, "exact_tricks": 4, "root": "gumbel"},
    "gumbel-32-k4": {"n_simulations": 32, "exact_tricks": 4, "root": "gumbel"},
    "gumbel-16-k4": {"n_simulations": 16, "exact_tricks": 4, "root": "gumbel"},
    "puct-200-k4-stop": {"n_simulations": 200, "exact_tricks": 4, "early_stop": True},
    "puct-200-k4-transpositions": {
        "n_simulations": 200,
        "exact_tricks": 4,
        "transpositions": True,
    },
    "puct-200-k4-cache": {"n_simulations": 200, "exact_tricks": 4, "cache_mb": 256},
    "puct-200-k4-cap": {"n_simulations": 200, "exact_tricks": 4, "full_share": 0.25},
}


@dataclass(frozen=True)
class Method:
    """One line of METHODS: the search of its recorded decisions, and where it is done.

    options: the line together with what it does not say.
    """

    name: str
    options: Mapping[str, Any]
    search: SearchOptions
    worlds: str
    cache_mb: int

    @classmethod
    def named(cls, name: str) -> Method:
        """Read one line. ValueError if there is no such name, or for what it says."""
        if name not in METHODS:
            raise ValueError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
        options = {**PLAIN, **METHODS[name]}
        of_games = {key: options[key] for key in ("worlds", "cache_mb")}
        of_search = {key: value for key, value in options.items() if key not in of_games}
        room = roomy(of_search["n_simulations"])
        return cls(name, options, SearchOptions(max_nodes=room, **of_search), **of_games)

    @property
    def honest(self) -> bool:
        """Whether it knows no more than the seat to play: if not, it is no player."""
        return self.worlds == "sampled"

    @property
    def searches(self) -> bool:
        """Whether it is a search at all, and not the network alone."""
        return self.worlds != NO_SEARCH

    @property
    def plain(self) -> bool:
        """Whether all there is to it is how one decision is searched."""
        search = self.search
        return search.full_share == 1 and not search.skip_decided and self.cache_mb == 0

    @property
    def fast(self) -> SearchOptions:
        """The search of the decisions that are played without being recorded."""
        return replace(self.search, n_simulations=self.search.fast_simulations)

    @property
    def player(self) -> SearchOptions:
        """The search with the best play made."""
        return at_its_best(self.search)

    def selfplay(self, n_parallel_games: int) -> SelfPlayConfig:
        """Self-play by this method in one thread."""
        return SelfPlayConfig(
            n_parallel_games=n_parallel_games,
            n_groups=1,
            search=self.search,
            worlds=self.worlds,
            cache_mb=self.cache_mb,
        )

    def times(self, factor: float) -> Method:
        """The same method with so many times the simulations, and worlds scaled alike."""
        search = self.search
        n = max(1, min(round(search.n_simulations * factor), MAX_SIMULATIONS))
        scaled = replace(
            search,
            n_simulations=n,
            max_nodes=roomy(n),
            n_worlds=max(1, min(round(search.n_worlds * factor), MAX_WORLDS)),
            fast_simulations=min(search.fast_simulations, n),
        )
        return replace(self, search=scaled)


def at_its_best(search: SearchOptions) -> SearchOptions:
    """A search without noise and without randomness in what is played."""
    return replace(search, temperature=0.0, noise_fraction=0.0, gumbel_scale=0.0)
