"""Player specs: the short strings that name a player on a command line.

    random | heuristic | heuristic2
    zeb:source=FILE[,weights_name=X][,temperature=T]
    eq:n=100[,objective=points|make][,adaptive=yes|no][,posterior=BETA]

Parsing never opens a file and never imports torch; `build.build_player` does both.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

PLAIN_PLAYERS = ("random", "heuristic", "heuristic2")
NETWORK_PLAYER = "zeb"
WORLDS_PLAYER = "eq"
SEARCH_PLAYER = "search"  # announced, not there yet
NETWORK_FORM = "zeb:source=FILE[,weights_name=X][,temperature=T]"
WORLDS_FORM = "eq:n=N[,objective=points|make][,adaptive=yes|no][,posterior=BETA]"
DEFAULT_TEMPERATURE = 0.1
MAX_WORLDS = 10_000
OBJECTIVES = ("points", "make")

_FORMS = {NETWORK_PLAYER: NETWORK_FORM, WORLDS_PLAYER: WORLDS_FORM}
_OPTIONS = {
    NETWORK_PLAYER: ("source", "weights_name", "temperature"),
    WORLDS_PLAYER: ("n", "objective", "adaptive", "posterior"),
}
_SWITCH = {"yes": True, "no": False}


class PlayerSpecError(ValueError):
    """A player spec that cannot be understood; the message is one sentence for the user."""


@dataclass(frozen=True)
class PlayerSpec:
    """One parsed spec. `text` is what the user wrote and what results are labelled with.

    `source`, `weights_name` and `temperature` only matter when `kind` is "zeb"; `n_worlds`,
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

    @property
    def deals_per_chunk(self) -> int:
        """Deals to play side by side, from what the player costs; results do not depend on it.

        A network wants full batches: about half of the games wait for it at every ply.
        """
        if self.kind == NETWORK_PLAYER:
            return 256
        if self.kind == WORLDS_PLAYER:
            return solver_deals_per_chunk(self.n_worlds)
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
    if kind not in _FORMS:
        raise PlayerSpecError(_unknown_player(spec, kind))
    options = _parse_options(spec, kind, rest)
    return (_parse_network if kind == NETWORK_PLAYER else _parse_worlds)(spec, options)


def _parse_network(spec: str, options: Mapping[str, str]) -> PlayerSpec:
    source = options.get("source", "")
    if not source:
        raise PlayerSpecError(f"Player {spec!r} names no weights; write {NETWORK_FORM}.")
    if source == "hf":
        raise PlayerSpecError(
            f"Player {spec!r} asks for weights on the Hugging Face Hub, which this version cannot "
            "read; download them and give the file as source=FILE."
        )
    expected = "a number of at least 0 (0 always plays the favourite)"
    return PlayerSpec(
        text=spec,
        kind=NETWORK_PLAYER,
        source=source,
        weights_name=options.get("weights_name"),
        temperature=_number(spec, options, "temperature", DEFAULT_TEMPERATURE, expected),
    )


def _parse_worlds(spec: str, options: Mapping[str, str]) -> PlayerSpec:
    if "n" not in options:
        raise PlayerSpecError(
            f"Player {spec!r} does not say how many worlds it samples; write {WORLDS_FORM}, "
            "for example eq:n=100."
        )
    written = options["n"]
    n_worlds = int(written) if written.isascii() and written.isdigit() else 0
    if not 1 <= n_worlds <= MAX_WORLDS:
        raise PlayerSpecError(
            f"Player {spec!r} has n {written!r}; expected a number of worlds, 1 to {MAX_WORLDS}."
        )
    return PlayerSpec(
        text=spec,
        kind=WORLDS_PLAYER,
        n_worlds=n_worlds,
        objective=_choice(spec, options, "objective", OBJECTIVES),
        adaptive=_SWITCH[_choice(spec, options, "adaptive", ("no", "yes"))],
        posterior=_number(spec, options, "posterior", 0.0, "a number of at least 0 (0: off)"),
    )


def _unknown_player(spec: str, kind: str) -> str:
    forms = ", ".join((*PLAIN_PLAYERS, *_FORMS.values()))
    if kind == SEARCH_PLAYER:
        return f"Player {spec!r} is not in this version yet; the players it has are {forms}."
    close = difflib.get_close_matches(kind.lower(), (*PLAIN_PLAYERS, *_FORMS), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"Unknown player {spec!r}: known players are {forms}{hint}"


def _parse_options(spec: str, kind: str, rest: str) -> dict[str, str]:
    """The options as written, by name; every name is one that this kind of player has."""
    options: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise PlayerSpecError(
                f"Player {spec!r} has the option {part!r} where NAME=VALUE was expected; "
                f"write {_FORMS[kind]}."
            )
        if name not in _OPTIONS[kind]:
            known = ", ".join(_OPTIONS[kind])
            raise PlayerSpecError(
                f"Player {spec!r} has the unknown option {name!r}: known options are {known}"
                f"{_hint(name, _OPTIONS[kind])}"
            )
        if name in options:
            raise PlayerSpecError(f"Player {spec!r} gives the option {name!r} twice; give it once.")
        options[name] = value
    return options


def _hint(written: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "."


def _choice(spec: str, options: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    """An option that takes one of a few words; the first is the default."""
    written = options.get(name, known[0])
    if written not in known:
        raise PlayerSpecError(
            f"Player {spec!r} has {name} {written!r}; expected {' or '.join(known)}"
            f"{_hint(written, known)}"
        )
    return written


def _number(
    spec: str, options: Mapping[str, str], name: str, default: float, expected: str
) -> float:
    """An option that takes a finite number of at least 0."""
    written = options.get(name)
    if written is None:
        return default
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise PlayerSpecError(f"Player {spec!r} has {name} {written!r}; expected {expected}.")
    return value
