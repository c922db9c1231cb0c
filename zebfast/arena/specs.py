"""Player specs: the short strings that name a player on a command line.

    random | heuristic | heuristic2
    zeb:source=FILE[,weights_name=X][,temperature=T]
    eq:n=100[,objective=points|make][,adaptive=yes|no][,posterior=BETA]
    search:source=FILE[,weights_name=X][,n=N][,worlds=W][,exact=K][,root=puct|gumbel][,c=C]
        [,early_stop=yes|no][,transpositions=yes|no]

Parsing never opens a file and never imports torch; `build.build_player` does both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace

from zebfast.arena.spec_options import PlayerSpecError, SpecOptions
from zebfast.core.forest import MIN_NODES, N_TRICKS, ROOTS
from zebfast.core.options import SearchOptions

PLAIN_PLAYERS = ("random", "heuristic", "heuristic2")
NETWORK_PLAYER = "zeb"
WORLDS_PLAYER = "eq"
SEARCH_PLAYER = "search"
NETWORK_FORM = "zeb:source=FILE[,weights_name=X][,temperature=T]"
WORLDS_FORM = "eq:n=N[,objective=points|make][,adaptive=yes|no][,posterior=BETA]"
SEARCH_FORM = (
    "search:source=FILE[,weights_name=X][,n=N][,worlds=W][,exact=K][,root=puct|gumbel][,c=C]"
    "[,early_stop=yes|no][,transpositions=yes|no]"
)
DEFAULT_TEMPERATURE = 0.1
MAX_WORLDS = 10_000
MAX_SIMULATIONS = 10_000
OBJECTIVES = ("points", "make")
SEARCH_OPTIONS = (
    "source",
    "weights_name",
    "n",
    "worlds",
    "exact",
    "root",
    "c",
    "early_stop",
    "transpositions",
)


@dataclass(frozen=True)
class PlayerSpec:
    """One parsed spec. `text` is what the user wrote and what results are labelled with.

    `source` and `weights_name` only matter when `kind` is "zeb" or "search", `temperature` only
    when it is "zeb", and `search` (None for the others) when it is "search"; `n_worlds`,
    `objective`, `adaptive` and `posterior` (0 = off) only when it is "eq".
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

    @property
    def needs_network(self) -> bool:
        """Whether the player has weights to be read."""
        return self.kind in (NETWORK_PLAYER, SEARCH_PLAYER)

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
        return 512

    def same_player(self, other: PlayerSpec) -> bool:
        """Whether two specs name one player, however they are written."""
        return replace(self, text="") == replace(other, text="")


def solver_deals_per_chunk(n_worlds: int) -> int:
    """Deals side by side for a player that solves so many worlds a play.

    It fills its threads with few games, and small chunks let the progress of slow ones be seen.
    """
    return max(1, min(16, 3200 // n_worlds))


def search_deals_per_chunk(n_simulations: int) -> int:
    """Deals side by side for a player that searches: full batches, and progress to be seen."""
    return max(16, min(256, 25_600 // n_simulations))


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
    usual = SearchOptions()
    source = options.source()
    n = options.whole("n", usual.n_simulations, least=1, most=MAX_SIMULATIONS, of="simulations")
    search = SearchOptions(
        n_simulations=n,
        max_nodes=roomy(n),
        n_worlds=options.whole("worlds", usual.n_worlds, least=1, most=MAX_WORLDS, of="worlds"),
        exact_tricks=options.whole(
            "exact", usual.exact_tricks, least=0, most=N_TRICKS, of="tricks"
        ),
        root=options.choice("root", ROOTS),
        c_puct=options.number("c", usual.c_puct, expected="a number above 0", above=0.0),
        early_stop=options.switch("early_stop"),
        transpositions=options.switch("transpositions"),
        temperature=0.0,
        gumbel_scale=0.0,
    )
    weights_name = options.text("weights_name")
    return PlayerSpec(
        text=options.spec,
        kind=SEARCH_PLAYER,
        source=source,
        weights_name=weights_name,
        search=search,
    )


def roomy(n_simulations: int) -> int:
    """Nodes with which a search of so many simulations is never cut short.

    Every simulation adds one position of at most seven plays, and there is room for 4.5 a node.
    """
    return max(MIN_NODES, 2 * n_simulations)


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
