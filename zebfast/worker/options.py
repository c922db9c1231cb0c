"""Producers' settings from options called as the worker's flags are: flags, or a run's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from zebfast.core.options import SearchOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.producer_kinds import BY_MODE, GAME, MOST_BATCH, RECIPE_MODES
from zebfast.selfplay.teaching import GAMES_PER_GROUP, TeachingConfig
from zebfast.selfplay.whole_hands import WholeHandsConfig
from zebfast.system.settings import (
    MOST_THREADS,
    SettingError,
    decode,
    setting,
    setting_of,
    shown,
    variable_of,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NOTHING = "none"  # what the state of a run names that has all its games
_Record = TypeVar("_Record", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a worker is to do; ``producer`` None: nothing. The others are None where not said."""

    producer: SelfPlayConfig | TeachingConfig | None = None
    games_per_batch: int | None = setting(
        None,
        "Games of a batch, which is an example file; beyond 16,384 several.",
        least=1,
        most=MOST_BATCH,
    )
    threads: int | None = setting(
        None, "Threads of torch in each group.", least=1, most=MOST_THREADS
    )


def selfplay_config(options: Mapping[str, Any]) -> SelfPlayConfig:
    """Of the options that are there and not None; the others keep their defaults. SettingError."""
    search = _of_options(SearchOptions, options, "selfplay")
    return replace(_of_options(SelfPlayConfig, options, "selfplay"), search=search)


def teaching_config(mode: str, options: Mapping[str, Any]) -> TeachingConfig:
    """Of the options that are there and not None; the others keep their defaults. SettingError."""
    groups = options.get("n_groups") or TeachingConfig.n_groups
    games = options.get("n_parallel_games") or GAMES_PER_GROUP * groups
    told = {**options, "n_groups": groups, "n_parallel_games": games}
    if mode == GAME.mode:
        return _of_options(WholeHandsConfig, told, mode)
    return _of_options(TeachingConfig, {**told, "teacher": mode}, mode)


def task_of(
    entry: Mapping[str, Any], machine: Mapping[str, Any], *, default_groups: int = 1
) -> Task:
    """What ``producer`` of a run's state asks for: ``mode``, and options by the names of flags.

    Args:
        machine: what this worker was told itself; it goes before what the state says.
        default_groups: groups of games where neither says how many.

    Raises:
        SettingError: one sentence where the entry cannot be followed.
    """
    told = {name: value for name, value in machine.items() if value is not None}
    options = {"n_groups": default_groups, **entry, **told}
    mode = options.pop("mode", None)
    if mode == NOTHING:
        return Task()
    if mode not in RECIPE_MODES:
        expected = ", ".join((*RECIPE_MODES, NOTHING))
        raise SettingError(f"mode is {shown(mode)}: expected one of {expected}")
    is_taught, own = BY_MODE[mode].is_teacher, _names(SearchOptions) | _names(SelfPlayConfig)
    if is_taught:
        own = _names(WholeHandsConfig if mode == GAME.mode else TeachingConfig)
    unknown = sorted(set(options) - own - _names(Task))
    if unknown:
        raise SettingError(
            f"{shown(unknown[0])} is no option of {mode}: expected {', '.join(sorted(own))}"
        )
    producer = teaching_config(mode, options) if is_taught else selfplay_config(options)
    return replace(_of_options(Task, options, mode), producer=producer)


def _names(kind: type[DataclassInstance]) -> set[str]:
    """The flags of a record's settings; the teacher has none, it is the mode."""
    found = (each for each in fields(kind) if setting_of(each).help)
    return {variable_of(each) for each in found} - {"teacher"}


def _of_options(kind: type[_Record], options: Mapping[str, Any], mode: str) -> _Record:
    known = {variable_of(each) for each in fields(kind)}
    given = {name: value for name, value in options.items() if name in known and value is not None}
    return decode(kind, given, mode, by_flags=True)
