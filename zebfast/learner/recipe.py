"""A recipe: how a network is trained, as data. TOML text, read and checked here.

A recipe is stages one after another. A stage says who makes the examples and how they are learned
from, and lasts until so many games were counted. Nothing else decides it, so a run that was
interrupted is in the right stage when it goes on.

Every run follows one. A run that is led by flags alone has one endless stage, which leaves it to
the workers what they play and is trained as fast as that goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zebfast.selfplay.producer_kinds import RECIPE_MODES
from zebfast.system.files import read_plain
from zebfast.system.parse import MAX_TOML_BYTES, parse_toml
from zebfast.system.settings import (
    A_YEAR,
    MOST_COUNT,
    MOST_GAMES,
    MOST_WHOLE,
    SettingError,
    check,
    decode,
    setting,
)

if TYPE_CHECKING:
    from zebfast.net.networks import AnyConfig

#: What metrics and state call the best network so far, as an opponent.
BEST = "best"
#: ``until_games`` of a stage without an end: more than anybody plays.
ENDLESS = MOST_WHOLE
MOST_ROWS = 10**10  # of a replay buffer: 640 GB
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RecipeError(SettingError):
    """One sentence: what in a recipe cannot be used, and what was expected."""


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"name {name!r} cannot be used: expected letters, digits, dots, dashes and underscores"
        )


@dataclass(frozen=True, kw_only=True)
class NetworkChoice:
    """The network that a recipe trains."""

    tokenizer: str = setting("v2", "Its kind: how a position is written down for it.")
    size: str = setting("medium", "Its named size.")
    belief_head: bool = setting(True, "Also predict who was dealt which domino.")
    contract: bool = setting(False, "Also see the contract that a hand is played for (v2).")

    def __post_init__(self) -> None:
        check(self)

    def config(self) -> AnyConfig:
        """The network's config. RecipeError where there is no such network."""
        from zebfast.net.networks import sized

        try:
            return sized(
                self.tokenizer, self.size, belief_head=self.belief_head, contract=self.contract
            )
        except ValueError as error:
            raise RecipeError(f"[network] cannot be used: {error}") from None


@dataclass(frozen=True, kw_only=True)
class ArenaPlan:
    """How strength is watched, and the best network kept: matches now and then.

    Besides, there is one look before the first step and one at the run's end.
    """

    every_minutes: float = setting(
        5.0, "Minutes of the run between two looks.", above=0, most=A_YEAR // 60
    )
    n_games: int = setting(
        2_000, "Games against each opponent, every deal both ways.", least=2, most=MOST_GAMES
    )
    opponents: tuple[str, ...] = setting(
        ("random", "heuristic2"), "Player specs; the best network so far is one by itself."
    )
    contracts: bool = setting(
        False, "Play all again for contracts; the best network is then that of both."
    )

    def __post_init__(self) -> None:
        # Players need the compiled core; the help of a command, which lists settings, does not.
        from zebfast.arena.players.specs import parse_spec

        check(self)
        for opponent in self.opponents:
            parse_spec(opponent)
        if len(set(self.opponents)) < len(self.opponents):
            raise RecipeError("opponents has one twice")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of the learner that hold for all stages; all but the last two are flags of its.

    The defaults are those of a run that is led by flags; RECIPE_TRAINING has those of a recipe.
    """

    ema: float = setting(
        0.0,
        "Decay a step of the average of the weights that is published; 0 = no average.",
        least=0,
        below=1,
        off=True,
    )
    replay_buffer_size: int = setting(
        500_000, "Examples kept (64 bytes each).", least=1, most=MOST_ROWS
    )
    min_buffer_size: int = setting(
        5_000, "Examples needed before training starts.", least=0, most=MOST_ROWS
    )
    training_steps_per_cycle: int = setting(
        1_000, "Optimizer steps a cycle.", least=1, most=MOST_COUNT
    )
    push_every: int = setting(25, "Cycles between publishing weights.", least=1, most=MOST_COUNT)
    amp: bool = setting(False, "Mixed precision: CUDA, and CPUs that compute bf16.")
    weight_decay: float = setting(0.01, "Of the optimizer, AdamW.", least=0, most=1_000)
    warmup_steps: int = setting(
        0,
        "Steps over which the learning rate rises from 0 at the beginning.",
        least=0,
        most=MOST_COUNT,
    )

    def __post_init__(self) -> None:
        check(self)


RECIPE_TRAINING = Training(
    ema=0.999, training_steps_per_cycle=250, push_every=2, amp=True, warmup_steps=200
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Attributes:
        producer: empty where the workers are told by their own flags.
        reuse: training waits rather than take more; 0 = it does not wait.
    """

    name: str = setting(help="What it is called.")
    until_games: int = setting(
        help="Games counted since the beginning of the run at which it ends.", least=1, most=ENDLESS
    )
    producer: Mapping[str, Any] = setting(
        help="What workers do: mode, and options by the names of their flags."
    )
    lr: float = setting(help="Learning rate at its beginning.", above=0, most=1_000)
    lr_end: float = setting(
        help="Learning rate at its end; it falls in proportion to the games.", least=0, most=1_000
    )
    reuse: float = setting(help="Optimizer rows for every new example.", least=0, most=1_000_000)
    batch_size: int = setting(1024, "Examples a step.", least=1, most=1 << 20)
    forget: bool = setting(False, "Drop the examples of the stages before when it begins.")

    def __post_init__(self) -> None:
        check(self)
        _check_name(self.name)
        if self.is_endless:
            return
        if not self.reuse:
            raise RecipeError(f"reuse is {self.reuse}: expected a number above 0")
        mode = self.producer.get("mode")
        if mode not in RECIPE_MODES:
            expected = ", ".join(RECIPE_MODES)
            raise RecipeError(f"producer mode is {mode!r}: expected one of {expected}")
        for name, value in self.producer.items():
            if not isinstance(value, bool | int | float | str):
                raise RecipeError(f"{name} of the producer is {value!r}: expected one plain value")

    @property
    def is_endless(self) -> bool:
        return self.until_games == ENDLESS


#: The stage of a run that is led by flags, with their defaults.
LED_STAGE = Stage(
    name="led", until_games=ENDLESS, producer={}, lr=1e-4, lr_end=1e-4, reuse=0, batch_size=64
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe. SettingError (one sentence) for one that cannot be used.

    Attributes:
        network: that a new run begins with; None where a checkpoint must be given.
        arena: None where the best network is not looked for.
    """

    name: str
    stages: tuple[Stage, ...]
    about: str = ""
    network: NetworkChoice | None = NetworkChoice()
    arena: ArenaPlan | None = field(default_factory=ArenaPlan)
    training: Training = RECIPE_TRAINING

    def __post_init__(self) -> None:
        check(self)
        _check_name(self.name)
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
    def is_endless(self) -> bool:
        """Is it that of a run led by flags, which goes on until it is stopped?"""
        return self.stages[-1].is_endless

    @property
    def total_games(self) -> int:
        """Games of the whole recipe; ENDLESS where it has no end."""
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


#: What a run is that is led by flags, with their defaults.
LED_RECIPE = Recipe(name="led", stages=(LED_STAGE,), network=None, arena=None, training=Training())


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file. RecipeError, naming the file, where there is none."""
    try:
        data = read_plain(path, MAX_TOML_BYTES)
        return parse_recipe(data.decode("utf-8"), source=str(path))
    except UnicodeDecodeError:
        raise RecipeError(f"recipe {path} is not a text file: expected TOML") from None
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from None


def parse_recipe(text: str, *, source: str = "given") -> Recipe:
    """The recipe of a TOML text; ``source`` is what a RecipeError calls it."""
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise RecipeError(f"recipe {source} is no TOML: {error}") from None
    try:
        recipe = decode(Recipe, {"stages": [], **tables})
        if recipe.is_endless:
            raise RecipeError(f"until_games is {ENDLESS}: expected fewer games")
        return recipe
    except ValueError as error:
        raise RecipeError(f"recipe {source} cannot be used: {error}") from None


def led_recipe(
    *, lr: float = LED_STAGE.lr, batch_size: int = LED_STAGE.batch_size, **training: Any
) -> Recipe:
    """The recipe of a run that is led by flags: one endless stage, and fields of Training."""
    stage = replace(LED_STAGE, lr=lr, lr_end=lr, batch_size=batch_size)
    return replace(LED_RECIPE, stages=(stage,), training=Training(**training))
