"""Player specs: the short strings that name a player on a command line.

    random | heuristic | heuristic2
    zeb[:source=FILE,weights_name=X,temperature=T,objective=points|make]
    eq:n=100[,objective=points|make][,adaptive=yes|no][,posterior=BETA]
    search[:OPTION,OPTION]: see SEARCH_FORM
    openspiel-ismcts:ms=T|n=N[,c=C,objective=points|make]
    policy:FILE[:NAME][,compiled=no][,illegal=replace][,seconds=N] | FILE.py[:NAME][,...]

Parsing never opens a file and never imports torch; `build.build_player` does both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, cast

from zebfast.arena.players.options import MAX_SECONDS, MAX_WORLDS, ROLLOUT_METHODS, RolloutOptions
from zebfast.arena.policies.options import ON_ILLEGAL, AskingOptions
from zebfast.core.forest import MIN_NODES
from zebfast.core.options import SearchOptions
from zebfast.rules import N_TRICKS
from zebfast.system.settings import Setting, did_you_mean, setting_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


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

    def weights(self) -> WeightsPlace:
        """Where a network's weights are; where it is left out, the network that is shipped."""
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
        return WeightsPlace(source, self.written.get("weights_name"))

    def whole(self, name: str, default: int, *, least: int, most: int, of: str) -> int:
        """A whole number of things, least to most."""
        written = self.written.get(name, str(default))
        number = int(written) if written.isascii() and written.isdigit() else -1
        if not least <= number <= most:
            raise self.unexpected(name, f"a number of {of}, {least} to {most}.")
        return number

    def number(self, name: str, default: float, of: Setting, *, note: str = "") -> float:
        """A number that the bounds of the setting allow; `note` says what one of them does."""
        written = self.written.get(name)
        if written is None:
            return default
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not of.allows(value):
            raise self.unexpected(name, f"a number: {of.wanted}{note}.")
        return value

    def milliseconds(self) -> float:
        """The time of a decision; 0 where it is left out."""
        return self.number(
            "ms", 0.0, Setting(above=0, most=1000 * MAX_SECONDS), note=" milliseconds"
        )

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
            return self.number(name, default, about)
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
    return did_you_mean(written, known, alike=0.5) or "."


TREE = "tree"
METHODS = (*ROLLOUT_METHODS, TREE)
ANY_OPTIONS = ("source", "weights_name", "method", "worlds", "exact", "dtype")
#: Options of a tree, and of what rolls out, with the fields that they are.
_TREE = {"n": "n_simulations", "worlds": "n_worlds", "exact": "exact_tricks", "root": "root",
         "c": "c_puct", "early_stop": "early_stop", "transpositions": "transpositions"}  # fmt: skip
_ROLLOUT = {"worlds": "n_worlds", "exact": "exact_tricks", "depth": "depth",
            "prior": "prior_worlds", "belief": "belief", "power": "power"}  # fmt: skip
TREE_OPTIONS = tuple(name for name in _TREE if name not in ANY_OPTIONS)
ROLLOUT_OPTIONS = ("ms", "model", *(name for name in _ROLLOUT if name not in ANY_OPTIONS))
SEARCH_OPTIONS = (*ANY_OPTIONS, *ROLLOUT_OPTIONS, *TREE_OPTIONS)
SEARCH_FORM = (
    "search[:source=FILE,weights_name=X,method=rollout|value|epimc|tree,worlds=W,ms=T,exact=K,...]"
)
MAX_SIMULATIONS = 10_000
MAX_ISMCTS = 1_000_000
DTYPES = ("auto", "fp32", "bf16", "fp16", "int8")
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
    ms = options.milliseconds()
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


def solver_deals_per_chunk(n_worlds: int) -> int:
    """Deals side by side for a player that solves so many worlds a play.

    It fills its threads with few games, and small chunks let the progress of slow ones be seen.
    """
    return max(1, min(16, 3200 // n_worlds))


def search_deals_per_chunk(n_simulations: int) -> int:
    """Deals side by side for a player that searches: full batches, and progress to be seen."""
    return max(16, min(256, 25_600 // n_simulations))


PLAIN_PLAYERS = ("random", "heuristic", "heuristic2")
NETWORK_PLAYER = "zeb"
WORLDS_PLAYER = "eq"
SEARCH_PLAYER = "search"
ISMCTS_PLAYER = "openspiel-ismcts"
POLICY_PLAYER = "policy"
POLICY_FORM = "policy:FILE[:NAME][,compiled=no][,illegal=replace][,seconds=N]"
_POLICY_FILE = re.compile(r"[^,]+\.py(:[^,]*)?(,|$)")
NETWORK_FORM = "zeb[:source=FILE,weights_name=X,temperature=T,objective=points|make]"
WORLDS_FORM = "eq:n=N[,objective=points|make][,adaptive=yes|no][,posterior=BETA]"
ISMCTS_FORM = "openspiel-ismcts:ms=T[,c=C,objective=points|make] (or n=N in place of ms)"
DEFAULT_TEMPERATURE = 0.1
OBJECTIVES = ("points", "make")
_UP_TO_1000 = Setting(least=0, most=1_000)


@dataclass(frozen=True)
class WeightsPlace:
    """Where a network's weights are: "" = those that are shipped, a file, or a run's directory.

    `name` is one of several runs in that directory; None = the nameless one.
    """

    source: str = ""
    name: str | None = None


@dataclass(frozen=True)
class PlainOptions:
    """A player without options, one of PLAIN_PLAYERS."""

    kind: str
    deals_per_chunk: ClassVar[int] = 512


@dataclass(frozen=True)
class NetworkOptions:
    """A network's policy alone."""

    weights: WeightsPlace = WeightsPlace()
    temperature: float = DEFAULT_TEMPERATURE
    objective: str = "points"
    deals_per_chunk: ClassVar[int] = 256  # full batches: at every ply half of the games wait


@dataclass(frozen=True)
class PimcOptions:
    """Exact values averaged over worlds; `posterior` 0 = off."""

    n_worlds: int
    objective: str = "points"
    adaptive: bool = False
    posterior: float = 0.0

    @property
    def deals_per_chunk(self) -> int:
        """See solver_deals_per_chunk."""
        return solver_deals_per_chunk(self.n_worlds)


@dataclass(frozen=True)
class TreeSearch:
    """A tree on sampled worlds; `dtype` is what its network computes in."""

    weights: WeightsPlace
    search: SearchOptions
    dtype: str = "fp32"

    @property
    def deals_per_chunk(self) -> int:
        """Full batches, and progress to be seen."""
        return search_deals_per_chunk(self.search.n_simulations)


@dataclass(frozen=True)
class RolloutSearch:
    """Rollouts in sampled worlds; `dtype` is what its network computes in, and `model` the policy
    by which opponents play in them, if it is not the network."""

    weights: WeightsPlace
    rollout: RolloutOptions
    dtype: str = "auto"
    model: PolicyPlace | None = None

    @property
    def deals_per_chunk(self) -> int:
        """As of a tree; what goes by the clock thinks about few at a time."""
        return 16 if self.rollout.seconds else max(8, min(64, 4096 // self.rollout.n_worlds))


@dataclass(frozen=True)
class IsmctsOptions:
    """OpenSpiel's ISMCTS: seconds a decision or, where they are 0, simulations."""

    seconds: float
    n_simulations: int
    c: float = 1.4
    objective: str = "points"
    deals_per_chunk: ClassVar[int] = 1  # one decision after another, and progress to be seen


@dataclass(frozen=True)
class PolicyPlace:
    """Where a user's policy is: a file of Python, and its name there; "" = the only one."""

    file: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> PolicyPlace:
        """Of FILE or FILE:NAME."""
        file, colon, name = text.rpartition(":")
        return cls(file, name) if colon and name.isidentifier() else cls(text)


@dataclass(frozen=True)
class PolicyOptions:
    """A user's policy, and how it is asked."""

    place: PolicyPlace
    asking: AskingOptions = field(default_factory=AskingOptions)
    deals_per_chunk: ClassVar[int] = 2048  # to their ends in one call, where the other is one, too


PlayerOptions = (
    PlainOptions
    | NetworkOptions
    | PimcOptions
    | TreeSearch
    | RolloutSearch
    | IsmctsOptions
    | PolicyOptions
)


@dataclass(frozen=True)
class PlayerSpec:
    """One parsed spec. `text` is what the user wrote and what results are labelled with."""

    text: str
    options: PlayerOptions

    @property
    def weights(self) -> WeightsPlace | None:
        """Where its network's weights are; None of a player without one."""
        options = self.options
        without = PlainOptions | PimcOptions | IsmctsOptions | PolicyOptions
        return None if isinstance(options, without) else options.weights

    @property
    def needs_network(self) -> bool:
        """Whether the player has weights to be read."""
        return self.weights is not None

    @property
    def needs_pool(self) -> bool:
        """Whether the player asks a pool of solvers."""
        return isinstance(self.options, PimcOptions | RolloutSearch)

    @property
    def deals_per_chunk(self) -> int:
        """Deals to play side by side, from what the player costs; results do not depend on it."""
        return self.options.deals_per_chunk

    def same_player(self, other: PlayerSpec) -> bool:
        """Whether two specs name one player, however they are written."""
        return self.options == other.options


def parse_spec(text: str) -> PlayerSpec:
    """Parse one player spec. Raises PlayerSpecError (one sentence) for anything else."""
    spec = text.strip()
    kind, colon, rest = spec.partition(":")
    if kind in PLAIN_PLAYERS:
        if colon:
            raise PlayerSpecError(f"Player {kind!r} takes no options; write it as {kind!r} alone.")
        return PlayerSpec(spec, PlainOptions(kind))
    if is_policy(spec):
        return PlayerSpec(spec, _parse_policy(spec, rest if kind == POLICY_PLAYER else spec))
    if kind not in _KINDS:
        raise PlayerSpecError(_unknown_player(spec, kind))
    reading = _KINDS[kind]
    options = SpecOptions.parse(spec, rest, form=reading.form, known=reading.options)
    return PlayerSpec(spec, reading.parse(options))


def _parse_network(options: SpecOptions) -> NetworkOptions:
    return NetworkOptions(
        weights=options.weights(),
        temperature=options.number(
            "temperature", DEFAULT_TEMPERATURE, _UP_TO_1000, note=" (0 always plays the favourite)"
        ),
        objective=options.choice("objective", OBJECTIVES),
    )


def _parse_pimc(options: SpecOptions) -> PimcOptions:
    if "n" not in options:
        raise PlayerSpecError(
            f"Player {options.spec!r} does not say how many worlds it samples; write "
            f"{WORLDS_FORM}, for example eq:n=100."
        )
    return PimcOptions(
        n_worlds=options.whole("n", 0, least=1, most=MAX_WORLDS, of="worlds"),
        objective=options.choice("objective", OBJECTIVES),
        adaptive=options.switch("adaptive"),
        posterior=options.number("posterior", 0.0, _UP_TO_1000, note=" (0: off)"),
    )


def _parse_ismcts(options: SpecOptions) -> IsmctsOptions:
    if ("ms" in options) == ("n" in options):
        raise PlayerSpecError(
            f"Player {options.spec!r} needs either its time a decision in milliseconds or a number "
            f"of simulations; write {ISMCTS_FORM}, for example openspiel-ismcts:ms=100."
        )
    return IsmctsOptions(
        seconds=options.milliseconds() / 1000,
        n_simulations=options.whole("n", 0, least=2, most=MAX_ISMCTS, of="simulations")
        if "n" in options else 0,
        c=options.number("c", IsmctsOptions.c, _UP_TO_1000),
        objective=options.choice("objective", OBJECTIVES),
    )  # fmt: skip


def _parse_search(options: SpecOptions) -> TreeSearch | RolloutSearch:
    method = method_of(options)
    weights, dtype = options.weights(), dtype_of(options, method)
    if method == TREE:
        return TreeSearch(weights, tree_options(options), dtype)
    written = options.written.get("model")
    model = None if written is None else PolicyPlace.parse(written)
    return RolloutSearch(weights, rollout_options(options, method), dtype, model)


def is_policy(spec: str) -> bool:
    """Whether a spec names a user's policy: policy:FILE, or a file of Python.

    Files are also named behind other kinds of players, as in search:model=FILE.py.
    """
    kind = spec.partition(":")[0]
    if kind in _KINDS:
        return False
    return kind == POLICY_PLAYER or _POLICY_FILE.match(spec) is not None


def _parse_policy(spec: str, text: str) -> PolicyOptions:
    """Of FILE[:NAME] and options behind it."""
    place, _, rest = text.partition(",")
    if not place.strip():
        raise PlayerSpecError(f"Player {spec!r} names no file of a policy; write {POLICY_FORM}.")
    known = ("compiled", "illegal", "seconds")
    options = SpecOptions.parse(spec, rest, form=POLICY_FORM, known=known)
    asking = AskingOptions(
        compiled=options.choice("compiled", ("yes", "no")) == "yes",
        illegal=options.choice("illegal", ON_ILLEGAL),
        seconds=options.setting("seconds", AskingOptions, "seconds"),
    )
    return PolicyOptions(PolicyPlace.parse(place.strip()), asking)


def _unknown_player(spec: str, kind: str) -> str:
    forms = ", ".join((*PLAIN_PLAYERS, *(reading.form for reading in _KINDS.values()), POLICY_FORM))
    hint = did_you_mean(kind.lower(), (*PLAIN_PLAYERS, *_KINDS, POLICY_PLAYER)) or "."
    return f"Unknown player {spec!r}: known players are {forms}{hint}"


@dataclass(frozen=True)
class _Kind:
    """How specs of one kind are read."""

    form: str
    options: tuple[str, ...]
    parse: Callable[[SpecOptions], PlayerOptions]


_KINDS = {
    NETWORK_PLAYER: _Kind(
        NETWORK_FORM, ("source", "weights_name", "temperature", "objective"), _parse_network
    ),
    WORLDS_PLAYER: _Kind(WORLDS_FORM, ("n", "objective", "adaptive", "posterior"), _parse_pimc),
    SEARCH_PLAYER: _Kind(SEARCH_FORM, SEARCH_OPTIONS, _parse_search),
    ISMCTS_PLAYER: _Kind(ISMCTS_FORM, ("ms", "n", "c", "objective"), _parse_ismcts),
}
