"""Producers' settings from options called as the worker's flags are: flags, or a run's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from zebfast.core.options import TEACHERS, SearchOptions
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.teaching import GAMES_PER_GROUP, TeachingConfig

SELFPLAY = "selfplay"
NOTHING = "none"  # what the state of a run names that has all its games

#: Options whose field is called otherwise.
_RENAMED = {"max_mcts_nodes": "max_nodes", "label_worlds": "n_worlds"}
_TEACHING = ("label_share", "label_worlds", "temperature", "explore", "exact_tricks")
_SEARCH = ("max_mcts_nodes", *(f.name for f in fields(SearchOptions) if f.name != "max_nodes"))
_GAMES = ("n_parallel_games", "n_groups")
_LOOP = ("games_per_batch", "threads")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a worker is to do; ``producer`` None: nothing. The others are None where not said."""

    producer: SelfPlayConfig | TeachingConfig | None
    games_per_batch: int | None = None
    threads: int | None = None


def selfplay_config(options: Mapping[str, Any]) -> SelfPlayConfig:
    """Of the options that are there and not None; the others keep their defaults. ValueError."""
    search = SearchOptions(**_chosen(options, _SEARCH, SearchOptions()))
    games = _chosen(options, (*_GAMES, "worlds", "cache_mb"), SelfPlayConfig())
    return SelfPlayConfig(search=search, **games)


def teaching_config(teacher: str, options: Mapping[str, Any]) -> TeachingConfig:
    """Of the options that are there and not None; the others keep their defaults. ValueError."""
    default = TeachingConfig(teacher=teacher)
    chosen = _chosen(options, (*_TEACHING, *_GAMES), default)
    n_groups = chosen.get("n_groups", default.n_groups)
    chosen.setdefault("n_parallel_games", GAMES_PER_GROUP * n_groups)
    return TeachingConfig(teacher=teacher, **chosen)


def task_of(
    entry: Mapping[str, Any], machine: Mapping[str, Any], *, default_groups: int = 1
) -> Task:
    """What ``producer`` of a run's state asks for: ``mode``, and options by the names of flags.

    Args:
        machine: what this worker was told itself; it goes before what the state says.
        default_groups: groups of games where neither says how many.

    Raises:
        ValueError: one sentence where the entry cannot be followed.
    """
    told = {name: value for name, value in machine.items() if value is not None}
    options = {"n_groups": default_groups, **entry, **told}
    mode = options.pop("mode", None)
    if mode == NOTHING:
        return Task(producer=None)
    if mode not in (SELFPLAY, *TEACHERS):
        expected = ", ".join((*TEACHERS, SELFPLAY, NOTHING))
        raise ValueError(f"mode is {mode!r:.40}: expected one of {expected}")
    own = _TEACHING if mode in TEACHERS else (*_SEARCH, "worlds", "cache_mb")
    unknown = sorted(set(options) - {*own, *_GAMES, *_LOOP})
    if unknown:
        raise ValueError(f"{unknown[0]!r:.40} is no option of {mode}: expected {', '.join(own)}")
    loop = _chosen(options, _LOOP, Task(producer=None, games_per_batch=1, threads=1))
    if any(number < 1 for number in loop.values()):
        raise ValueError(f"{' and '.join(loop)} must be 1 or more")
    if mode in TEACHERS:
        return Task(producer=teaching_config(mode, options), **loop)
    return Task(producer=selfplay_config(options), **loop)


def _chosen(options: Mapping[str, Any], names: tuple[str, ...], default: object) -> dict[str, Any]:
    """The named options as fields; ValueError for one of another type than the default's."""
    chosen = {}
    for name in names:
        value = options.get(name)
        if value is None:
            continue
        field = _RENAMED.get(name, name)
        wanted = type(getattr(default, field))
        if not isinstance(value, wanted) and not (wanted is float and type(value) is int):
            raise ValueError(f"{name} is {value!r:.40}: expected {wanted.__name__}")
        if wanted is int and isinstance(value, bool):
            raise ValueError(f"{name} is {value}: expected int")
        chosen[field] = value
    return chosen
