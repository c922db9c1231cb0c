"""Player specs: the short strings that name a player on a command line.

    random | heuristic | heuristic2
    zeb[:source=FILE,weights_name=X,temperature=T]
    eq:n=100[,objective=points|make][,adaptive=yes|no][,posterior=BETA]
    search[:OPTION,OPTION]: see search_specs.py

Parsing never opens a file and never imports torch; `build.build_player` does both.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

from zebfast.arena.players.options import ROLLOUT_METHODS, RolloutOptions
from zebfast.core.forest import MIN_NODES
from zebfast.core.options import SearchOptions
from zebfast.rules import N_TRICKS
from zebfast.system.settings import setting_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# --- The options of a player spec, `NAME=VALUE,NAME=VALUE`: read, checked, told apart in
# sentences.


class PlayerSpecError(ValueError):
    """A player spec that cannot be understood; the message is one sentence for the user."""


@dataclass(frozen=True)
class SpecOptions:
    """What one spec gives: `spec` is its whole text, `written` holds the values by name.

    Every method that reads an option raises PlayerSpecError for a value it does not take.
    """

    spec: str
    form: str
    written: Mapping[str, str]

    @classmethod
    def parse(cls, spec: str, rest: str, *, form: str, known: Sequence[str]) -> SpecOptions:
        """Split `rest`, all of `spec` behind its colon; every name must be among the `known`."""
        found: dict[str, str] = {}
        for part in rest.split(",") if rest else ():
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not value:
                raise PlayerSpecError(
                    f"Player {spec!r} has the option {part!r} where NAME=VALUE was expected; "
                    f"write {form}."
                )
            if name not in known:
                raise PlayerSpecError(
                    f"Player {spec!r} has the unknown option {name!r}: known options are "
                    f"{', '.join(known)}{_hint(name, known)}"
                )
            if name in found:
                raise PlayerSpecError(
                    f"Player {spec!r} gives the option {name!r} twice; give it once."
                )
            found[name] = value
        return cls(spec, form, found)

    def __contains__(self, name: str) -> bool:
        return name in self.written

    def text(self, name: str) -> str | None:
        """The option as it stands, None where it is left out."""
        return self.written.get(name)

    def source(self) -> str:
        """Where a network's weights are; "" where it is left out: the network that is shipped."""
        source = self.written.get("source", "")
        if not source and "weights_name" in self:
            raise PlayerSpecError(
                f"Player {self.spec!r} gives a weights_name but no source; add the directory of "
                "the weights as source=DIRECTORY."
            )
        if source == "hf":
            raise PlayerSpecError(
                f"Player {self.spec!r} asks for weights on the Hugging Face Hub, which this "
                "version cannot read; download them and give the file as source=FILE."
            )
        return source

    def whole(self, name: str, default: int, *, least: int, most: int, of: str) -> int:
        """A whole number of things, least to most."""
        written = self.written.get(name, str(default))
        number = int(written) if written.isascii() and written.isdigit() else -1
        if not least <= number <= most:
            raise self.unexpected(name, f"a number of {of}, {least} to {most}.")
        return number

    def number(self, name: str, default: float, *, expected: str, above: float = -1.0) -> float:
        """A finite number of at least 0, and above `above`."""
        written = self.written.get(name)
        if written is None:
            return default
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0.0 and value > above):
            raise self.unexpected(name, f"{expected}.")
        return value

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of a few words; the first is the default."""
        written = self.written.get(name, known[0])
        if written not in known:
            raise self.unexpected(name, f"{' or '.join(known)}{_hint(written, known)}")
        return written

    def switch(self, name: str) -> bool:
        """yes or no; no when left out."""
        return self.choice(name, ("no", "yes")) == "yes"

    def setting(self, name: str, kind: type[DataclassInstance], field: str) -> Any:
        """The option as a field of ``kind``: in its bounds, and its default where left out."""
        [found] = (each for each in fields(kind) if each.name == field)
        about, default = setting_of(found), found.default
        if about.choices:
            return self.choice(name, about.choices)
        if isinstance(default, bool):
            return self.switch(name)
        if isinstance(default, float):
            above = -1.0 if about.above is None else about.above
            expected = f"a number {'of at least 0' if about.above is None else f'above {above:g}'}"
            return self.number(name, default, expected=expected, above=above)
        most = min(_MOST[name], about.most or MAX_WORLDS)
        return self.whole(
            name, cast(int, default), least=int(about.least or 0), most=int(most), of=_THINGS[name]
        )

    def unexpected(self, name: str, expected: str) -> PlayerSpecError:
        """The error for a value that the option does not take."""
        return PlayerSpecError(
            f"Player {self.spec!r} has {name} {self.written[name]!r}; expected {expected}"
        )


def _hint(written: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "."


# --- The options of `search:` specs: which search it is, and what that one is told.

TREE = "tree"
METHODS = (*ROLLOUT_METHODS, TREE)
ANY_OPTIONS = ("source", "weights_name", "method", "worlds", "exact", "dtype")
#: Options of a tree, and of what rolls out, with the fields that they are.
_TREE = {"n": "n_simulations", "worlds": "n_worlds", "exact": "exact_tricks", "root": "root",
         "c": "c_puct", "early_stop": "early_stop", "transpositions": "transpositions"}  # fmt: skip
_ROLLOUT = {"worlds": "n_worlds", "exact": "exact_tricks", "depth": "depth",
            "prior": "prior_worlds", "belief": "belief", "power": "power"}  # fmt: skip
TREE_OPTIONS = tuple(name for name in _TREE if name not in ANY_OPTIONS)
ROLLOUT_OPTIONS = ("ms", *(name for name in _ROLLOUT if name not in ANY_OPTIONS))
SEARCH_OPTIONS = (*ANY_OPTIONS, *ROLLOUT_OPTIONS, *TREE_OPTIONS)
SEARCH_FORM = (
    "search[:source=FILE,weights_name=X,method=rollout|value|epimc|tree,worlds=W,ms=T,exact=K,...]"
)
MAX_WORLDS = 10_000
MAX_SIMULATIONS = 10_000
MAX_MILLISECONDS = 600_000.0
DTYPES = ("auto", "fp32", "bf16", "fp16")
#: What whole numbers count, and how many there may be in a spec.
_THINGS = {"n": "simulations", "worlds": "worlds", "exact": "tricks", "depth": "tricks"}
_MOST = {"n": MAX_SIMULATIONS, "worlds": MAX_WORLDS, "exact": N_TRICKS, "depth": N_TRICKS}


def method_of(options: SpecOptions) -> str:
    """The method that is named or, where none is, the one that has what is written.

    Raises PlayerSpecError for an unknown method, or an option that it does not have.
    """
    given = [name for name in TREE_OPTIONS if name in options]
    method = TREE if given and "method" not in options else options.choice("method", METHODS)
    foreign = ROLLOUT_OPTIONS if method == TREE else TREE_OPTIONS
    if wrong := [name for name in foreign if name in options]:
        other = TREE if wrong[0] in TREE_OPTIONS else " or ".join(ROLLOUT_METHODS)
        raise PlayerSpecError(
            f"Player {options.spec!r} gives {wrong[0]}, which belongs to method={other}, not to "
            f"{method}; leave it out or change the method."
        )
    if "depth" in options and method in ("rollout", TREE):
        raise PlayerSpecError(
            f"Player {options.spec!r} gives depth, which belongs to method=value or epimc, not to "
            f"{method}; leave it out or change the method."
        )
    return method


def tree_options(options: SpecOptions) -> SearchOptions:
    """What a tree is told: as self-play's, but that the best play is always made."""
    told = {field: options.setting(name, SearchOptions, field) for name, field in _TREE.items()}
    nodes = roomy(told["n_simulations"])
    return SearchOptions(**told, max_nodes=nodes, temperature=0.0, gumbel_scale=0.0)


def rollout_options(options: SpecOptions, method: str) -> RolloutOptions:
    """What rollouts are told; with a time, worlds are as many as it has room for."""
    expected = f"milliseconds above 0, at most {MAX_MILLISECONDS:.0f}"
    ms = options.number("ms", 0.0, expected=expected, above=0.0)
    if ms > MAX_MILLISECONDS:
        raise options.unexpected("ms", f"{expected}.")
    told = {field: options.setting(name, RolloutOptions, field) for name, field in _ROLLOUT.items()}
    if "ms" in options and "worlds" not in options:
        told["n_worlds"] = MAX_WORLDS
    return RolloutOptions(method=method, seconds=ms / 1000, **told)


def dtype_of(options: SpecOptions, method: str) -> str:
    """What the network computes in; unless it is said, a tree in fp32 as ever."""
    if method == TREE and "dtype" not in options:
        return "fp32"
    return options.choice("dtype", DTYPES)


def roomy(n_simulations: int) -> int:
    """Nodes with which a search of so many simulations is never cut short.

    Every simulation adds one position of at most seven plays, and there is room for 4.5 a node.
    """
    return max(MIN_NODES, 2 * n_simulations)


def search_deals_per_chunk(n_simulations: int) -> int:
    """Deals side by side for a player that searches: full batches, and progress to be seen."""
    return max(16, min(256, 25_600 // n_simulations))


def rollout_deals_per_chunk(rollout: RolloutOptions) -> int:
    """The same for one that rolls out; what goes by the clock thinks about few at a time."""
    return 16 if rollout.seconds else max(8, min(64, 4096 // rollout.n_worlds))


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
