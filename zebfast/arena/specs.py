"""Player specs: the short strings that name a player on a command line.

    random | heuristic | heuristic2 | zeb:source=FILE[,weights_name=X][,temperature=T]

Parsing never opens a file and never imports torch; `players.build_player` does both.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

PLAIN_PLAYERS = ("random", "heuristic", "heuristic2")
NETWORK_PLAYER = "zeb"
NETWORK_FORM = "zeb:source=FILE[,weights_name=X][,temperature=T]"
DEFAULT_TEMPERATURE = 0.1
_NETWORK_OPTIONS = ("source", "weights_name", "temperature")


class PlayerSpecError(ValueError):
    """A player spec that cannot be understood; the message is one sentence for the user."""


@dataclass(frozen=True)
class PlayerSpec:
    """One parsed spec. `text` is what the user wrote and what results are labelled with.

    `source`, `weights_name` and `temperature` only matter when `kind` is "zeb".
    """

    text: str
    kind: str
    source: str = ""
    weights_name: str | None = None
    temperature: float = DEFAULT_TEMPERATURE


def parse_spec(text: str) -> PlayerSpec:
    """Parse one player spec. Raises PlayerSpecError (one sentence) for anything else."""
    spec = text.strip()
    kind, colon, rest = spec.partition(":")
    if kind in PLAIN_PLAYERS:
        if colon:
            raise PlayerSpecError(f"Player {kind!r} takes no options; write it as {kind!r} alone.")
        return PlayerSpec(text=spec, kind=kind)
    if kind != NETWORK_PLAYER:
        raise PlayerSpecError(_unknown_player(spec, kind))
    options = _parse_options(spec, rest)
    source = options.get("source", "")
    if not source:
        raise PlayerSpecError(f"Player {spec!r} names no weights; write {NETWORK_FORM}.")
    if source == "hf":
        raise PlayerSpecError(
            f"Player {spec!r} asks for weights on the Hugging Face Hub, which this version cannot "
            "read; download them and give the file as source=FILE."
        )
    return PlayerSpec(
        text=spec,
        kind=kind,
        source=source,
        weights_name=options.get("weights_name"),
        temperature=_parse_temperature(spec, options),
    )


def _unknown_player(spec: str, kind: str) -> str:
    known = ", ".join((*PLAIN_PLAYERS, NETWORK_FORM))
    close = difflib.get_close_matches(kind.lower(), (*PLAIN_PLAYERS, NETWORK_PLAYER), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"Unknown player {spec!r}: known players are {known}{hint}"


def _parse_options(spec: str, rest: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise PlayerSpecError(
                f"Player {spec!r} has the option {part!r} where NAME=VALUE was expected; "
                f"write {NETWORK_FORM}."
            )
        if name not in _NETWORK_OPTIONS:
            close = difflib.get_close_matches(name, _NETWORK_OPTIONS, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            known = ", ".join(_NETWORK_OPTIONS)
            raise PlayerSpecError(
                f"Player {spec!r} has the unknown option {name!r}: known options are {known}{hint}"
            )
        if name in options:
            raise PlayerSpecError(f"Player {spec!r} gives the option {name!r} twice; give it once.")
        options[name] = value
    return options


def _parse_temperature(spec: str, options: Mapping[str, str]) -> float:
    written = options.get("temperature")
    if written is None:
        return DEFAULT_TEMPERATURE
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise PlayerSpecError(
            f"Player {spec!r} has temperature {written!r}; expected a number of at least 0 "
            "(0 always plays the favourite)."
        )
    return value
