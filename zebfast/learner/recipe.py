"""A recipe: how a network is trained from nothing, as data. TOML text, read and checked here.

A recipe is stages one after another. A stage says who makes the examples and how they are learned
from, and lasts until so many games were counted. Nothing else decides it, so a run that was
interrupted is in the right stage when it goes on.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zebfast.arena.players.specs import parse_spec
from zebfast.core.labelling import TEACHERS

if TYPE_CHECKING:
    from zebfast.net.networks import AnyConfig

__all__ = [
    "ArenaPlan",
    "NetworkChoice",
    "Recipe",
    "RecipeError",
    "Stage",
    "Training",
    "parse_recipe",
    "read_recipe",
]

# --- Values of a recipe: from what TOML holds to frozen records, and the checks on them.

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_T = TypeVar("_T")


class RecipeError(ValueError):
    """One sentence: what in a recipe cannot be used, and what was expected."""


def record(kind: type[_T], table: Any, where: str) -> _T:
    """A frozen ``kind`` of a TOML table; ``where`` is what a RecipeError calls the table."""
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where} is {table!r}: expected a table")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; expected {', '.join(known)}"
            raise RecipeError(f"unknown key {key!r} in {where}{hint}")
    missing = [n for n, f in known.items() if f.default is MISSING and n not in table]
    if missing:
        raise RecipeError(f"{where} lacks {', '.join(missing)}")
    values = {key: _typed(value, str(known[key].type), key) for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise RecipeError(f"in {where}, {error}") from None


def _typed(value: Any, wanted: str, key: str) -> Any:
    """``value`` as a field of type ``wanted`` holds it; fields of this module's kinds pass."""
    match wanted:
        case "float" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "str" if isinstance(value, str):
            return value
        case "bool" if isinstance(value, bool):
            return value
        case "tuple[str, ...]" if _all_texts(value):
            return tuple(value)
        case "Mapping[str, Any]" if isinstance(value, Mapping):
            return value
        case "NetworkChoice" | "ArenaPlan" | "Training" | "tuple[Stage, ...]":
            return value
    kinds = {"float": "a number", "int": "a whole number", "str": "text", "bool": "true or false"}
    expected = kinds.get(wanted, "a table" if wanted.startswith("Mapping") else "a list of texts")
    raise RecipeError(f"{key} is {value!r}: expected {expected}")


def _all_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def check_name(name: str) -> None:
    """RecipeError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"name {name!r} cannot be used: expected letters, digits, dots, dashes and underscores"
        )


def check_least(least: int, **values: float) -> None:
    """RecipeError for a value below ``least``, or no finite number."""
    for name, value in values.items():
        if not least <= value < math.inf:
            raise RecipeError(f"{name} is {value}: expected at least {least}")


def check_above(limit: float, **values: float) -> None:
    """RecipeError for a value that is not above ``limit``, or no finite number."""
    for name, value in values.items():
        if not limit < value < math.inf:
            raise RecipeError(f"{name} is {value}: expected a number above {limit}")


PRODUCER_MODES = (*TEACHERS, "selfplay")
#: What metrics and state call the best network so far, as an opponent.
BEST = "best"


@dataclass(frozen=True, kw_only=True)
class NetworkChoice:
    """The network a recipe trains: tokenizer, named size, and whether it has a belief head."""

    tokenizer: str = "v2"
    size: str = "medium"
    belief_head: bool = True

    def config(self) -> AnyConfig:
        """The network's config. RecipeError where there is no such network. Imports torch."""
        from zebfast.net.networks import sized

        try:
            return sized(self.tokenizer, self.size, belief_head=self.belief_head)
        except ValueError as error:
            raise RecipeError(f"[network] cannot be used: {error}") from None


@dataclass(frozen=True, kw_only=True)
class ArenaPlan:
    """How strength is watched: matches of ``n_games`` against each of ``opponents``.

    One look every ``every_minutes`` of the run, one before its first step and one at its end.
    ``opponents`` are player specs; the best network so far is one by itself.
    """

    every_minutes: float = 5.0
    n_games: int = 2_000
    opponents: tuple[str, ...] = ("random", "heuristic2")

    def __post_init__(self) -> None:
        check_above(0, every_minutes=self.every_minutes)
        check_least(2, n_games=self.n_games)
        for opponent in self.opponents:
            parse_spec(opponent)
        if len(set(self.opponents)) < len(self.opponents):
            raise RecipeError("opponents has one twice")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of the learner that hold for all stages; names are those of its flags.

    ``amp``: train in bf16 where the machine computes it. ``warmup_steps``: optimizer steps over
    which the learning rate rises from 0 at the beginning.
    """

    ema: float = 0.999
    replay_buffer_size: int = 500_000
    min_buffer_size: int = 5_000
    training_steps_per_cycle: int = 250
    push_every: int = 2
    amp: bool = True
    weight_decay: float = 0.01
    warmup_steps: int = 200

    def __post_init__(self) -> None:
        if not 0 <= self.ema < 1:
            raise RecipeError(f"ema is {self.ema}: expected 0 (off) to below 1")
        check_least(
            1,
            replay_buffer_size=self.replay_buffer_size,
            training_steps_per_cycle=self.training_steps_per_cycle,
            push_every=self.push_every,
        )
        check_least(
            0,
            min_buffer_size=self.min_buffer_size,
            warmup_steps=self.warmup_steps,
            weight_decay=self.weight_decay,
        )

    def flags(self) -> dict[str, Any]:
        """Those that are flags of the learner, by variable name."""
        own = asdict(self)
        flags = {name: own[name] for name in own if name not in ("weight_decay", "warmup_steps")}
        return flags | {"amp_dtype": "bf16"}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Attributes:
        until_games: games counted since the beginning of the run at which the stage ends.
        producer: what workers do: ``mode`` and options by the names of their flags.
        lr, lr_end: the learning rate falls from one to the other, in proportion to the games.
        reuse: optimizer rows for every new example: training waits rather than take more.
        batch_size: examples a step.
        forget: examples of the stages before are dropped when this one begins.
    """

    name: str
    until_games: int
    producer: Mapping[str, Any]
    lr: float
    lr_end: float
    reuse: float
    batch_size: int = 1024
    forget: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)
        check_least(1, until_games=self.until_games, batch_size=self.batch_size)
        check_above(0, lr=self.lr, reuse=self.reuse)
        check_least(0, lr_end=self.lr_end)
        mode = self.producer.get("mode")
        if mode not in PRODUCER_MODES:
            expected = ", ".join(PRODUCER_MODES)
            raise RecipeError(f"producer mode is {mode!r}: expected one of {expected}")
        for name, value in self.producer.items():
            if not isinstance(value, bool | int | float | str):
                raise RecipeError(f"{name} of the producer is {value!r}: expected one plain value")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "producer": dict(self.producer)
        }


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe. RecipeError (one sentence) for one that cannot be used."""

    name: str
    stages: tuple[Stage, ...]
    about: str = ""
    network: NetworkChoice = NetworkChoice()
    arena: ArenaPlan = ArenaPlan()
    training: Training = Training()

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.stages:
            raise RecipeError("there are no stages: expected at least one [[stages]]")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise RecipeError(f"two stages have one name: {', '.join(names)}")
        for before, after in zip(self.stages, self.stages[1:], strict=False):
            if after.until_games <= before.until_games:
                raise RecipeError(
                    f"stage {after.name!r} ends at {after.until_games} games, which "
                    f"{before.name!r} has reached already: until_games counts from the beginning "
                    "of the run"
                )

    @property
    def total_games(self) -> int:
        """Games of the whole recipe."""
        return self.stages[-1].until_games

    def index_at(self, games: int) -> int:
        """Which stage a run with so many counted games is in; the last one from its end on."""
        ended = sum(stage.until_games <= games for stage in self.stages)
        return min(ended, len(self.stages) - 1)

    def first_games(self, index: int) -> int:
        """Games at which a stage begins."""
        return self.stages[index - 1].until_games if index else 0

    def share_done(self, games: int) -> float:
        """Part of its stage's games that a run with so many has, 0 to 1."""
        index = self.index_at(games)
        first = self.first_games(index)
        return min(1.0, (games - first) / (self.stages[index].until_games - first))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for run records."""
        return {
            "name": self.name,
            "about": self.about,
            "network": asdict(self.network),
            "arena": asdict(self.arena),
            "training": asdict(self.training),
            "stages": [stage.to_json() for stage in self.stages],
        }


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file. RecipeError, naming the file, where there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecipeError(f"recipe {path} is not a text file: expected TOML") from None
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from None
    return parse_recipe(text, source=str(path))


def parse_recipe(text: str, *, source: str = "given") -> Recipe:
    """The recipe of a TOML text; ``source`` is what a RecipeError calls it."""
    try:
        tables = tomllib.loads(text)
        stages = tables.pop("stages", [])
        if not isinstance(stages, list):
            raise RecipeError("stages is no list of tables: expected [[stages]] once for each")
        for name, kind in (
            ("network", NetworkChoice),
            ("arena", ArenaPlan),
            ("training", Training),
        ):
            if name in tables:
                tables[name] = record(kind, tables[name], f"[{name}]")
        read = tuple(record(Stage, stage, f"[[stages]] {i}") for i, stage in enumerate(stages, 1))
        return record(Recipe, {**tables, "stages": read}, "the top level")
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {source} is no TOML: {error}") from None
    except ValueError as error:
        raise RecipeError(f"recipe {source} cannot be used: {error}") from None
