"""Player specs: the short strings that name a player on a command line.

    random | heuristic | heuristic2
    zeb[:source=FILE,weights_name=X,temperature=T]
    eq:n=100[,objective=points|make][,adaptive=yes|no][,posterior=BETA]
    search[:OPTION,OPTION]: see search_specs.py

Parsing never opens a file and never imports torch; `build.build_player` does both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

from zebfast.arena.rollout_options import RolloutOptions
from zebfast.arena.search_specs import (
    MAX_WORLDS,
    SEARCH_FORM,
    SEARCH_OPTIONS,
    TREE,
    dtype_of,
    method_of,
    rollout_deals_per_chunk,
    rollout_options,
    search_deals_per_chunk,
    tree_options,
)
from zebfast.arena.spec_options import PlayerSpecError, SpecOptions
from zebfast.core.options import SearchOptions

PLAIN_PLAYERS = ("random", "heuristic", "heuristic2")
NETWORK_PLAYER = "zeb"
WORLDS_PLAYER = "eq"
SEARCH_PLAYER = "search"
NETWORK_FORM = "zeb[:source=FILE,weights_name=X,temperature=T]"
WORLDS_FORM = "eq:n=N[,objective=points|make][,adaptive=yes|no][,posterior=BETA]"
DEFAULT_TEMPERATURE = 0.1
OBJECTIVES = ("points", "make")


@dataclass(frozen=True)
class PlayerSpec:
    """One parsed spec. `text` is what the user wrote and what results are labelled with.

    `source` ("" = the network that is shipped, see zebfast.net.shipped) and `weights_name` only
    matter when `kind` is "zeb" or "search", `temperature` only when it is "zeb"; `n_worlds`,
    `objective`, `adaptive` and `posterior` (0 = off) only when it is "eq". When it is "search",
    one of `search` (a tree) and `rollout` says what kind of search, and `dtype` what its network
    computes in.
    """

    text: str
    kind: str
    source: str = ""
    weights_name: str | None = None
    temperature: float = DEFAULT_TEMPERATURE
    n_worlds: int = 0
    objective: str = "points"
    adaptive: bool = False
    posterior: float = 0.0
    search: SearchOptions | None = None
    rollout: RolloutOptions | None = None
    dtype: str = "fp32"

    @property
    def needs_network(self) -> bool:
        """Whether the player has weights to be read."""
        return self.kind in (NETWORK_PLAYER, SEARCH_PLAYER)

    @property
    def needs_pool(self) -> bool:
        """Whether the player asks a pool of solvers."""
        return self.kind == WORLDS_PLAYER or self.rollout is not None

    @property
    def deals_per_chunk(self) -> int:
        """Deals to play side by side, from what the player costs; results do not depend on it.

        A network wants full batches: about half of the games wait for it at every ply.
        """
        if self.kind == NETWORK_PLAYER:
            return 256
        if self.kind == WORLDS_PLAYER:
            return solver_deals_per_chunk(self.n_worlds)
        if self.search is not None:
            return search_deals_per_chunk(self.search.n_simulations)
        if self.rollout is not None:
            return rollout_deals_per_chunk(self.rollout)
        return 512

    def same_player(self, other: PlayerSpec) -> bool:
        """Whether two specs name one player, however they are written."""
        return replace(self, text="") == replace(other, text="")


def solver_deals_per_chunk(n_worlds: int) -> int:
    """Deals side by side for a player that solves so many worlds a play.

    It fills its threads with few games, and small chunks let the progress of slow ones be seen.
    """
    return max(1, min(16, 3200 // n_worlds))


def parse_spec(text: str) -> PlayerSpec:
    """Parse one player spec. Raises PlayerSpecError (one sentence) for anything else."""
    spec = text.strip()
    kind, colon, rest = spec.partition(":")
    if kind in PLAIN_PLAYERS:
        if colon:
            raise PlayerSpecError(f"Player {kind!r} takes no options; write it as {kind!r} alone.")
        return PlayerSpec(text=spec, kind=kind)
    if kind not in _KINDS:
        raise PlayerSpecError(_unknown_player(spec, kind))
    reading = _KINDS[kind]
    options = SpecOptions.parse(spec, rest, form=reading.form, known=reading.options)
    return reading.parse(options)


def _parse_network(options: SpecOptions) -> PlayerSpec:
    expected = "a number of at least 0 (0 always plays the favourite)"
    return PlayerSpec(
        text=options.spec,
        kind=NETWORK_PLAYER,
        source=options.source(),
        weights_name=options.text("weights_name"),
        temperature=options.number("temperature", DEFAULT_TEMPERATURE, expected=expected),
    )


def _parse_worlds(options: SpecOptions) -> PlayerSpec:
    if "n" not in options:
        raise PlayerSpecError(
            f"Player {options.spec!r} does not say how many worlds it samples; write "
            f"{WORLDS_FORM}, for example eq:n=100."
        )
    return PlayerSpec(
        text=options.spec,
        kind=WORLDS_PLAYER,
        n_worlds=options.whole("n", 0, least=1, most=MAX_WORLDS, of="worlds"),
        objective=options.choice("objective", OBJECTIVES),
        adaptive=options.switch("adaptive"),
        posterior=options.number("posterior", 0.0, expected="a number of at least 0 (0: off)"),
    )


def _parse_search(options: SpecOptions) -> PlayerSpec:
    method = method_of(options)
    return PlayerSpec(
        text=options.spec,
        kind=SEARCH_PLAYER,
        source=options.source(),
        weights_name=options.text("weights_name"),
        search=tree_options(options) if method == TREE else None,
        rollout=None if method == TREE else rollout_options(options, method),
        dtype=dtype_of(options, method),
    )


def _unknown_player(spec: str, kind: str) -> str:
    forms = ", ".join((*PLAIN_PLAYERS, *(reading.form for reading in _KINDS.values())))
    close = difflib.get_close_matches(kind.lower(), (*PLAIN_PLAYERS, *_KINDS), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"Unknown player {spec!r}: known players are {forms}{hint}"


@dataclass(frozen=True)
class _Kind:
    """How specs of one kind are read."""

    form: str
    options: tuple[str, ...]
    parse: Callable[[SpecOptions], PlayerSpec]


_KINDS = {
    NETWORK_PLAYER: _Kind(NETWORK_FORM, ("source", "weights_name", "temperature"), _parse_network),
    WORLDS_PLAYER: _Kind(WORLDS_FORM, ("n", "objective", "adaptive", "posterior"), _parse_worlds),
    SEARCH_PLAYER: _Kind(SEARCH_FORM, SEARCH_OPTIONS, _parse_search),
}
