"""The file of an experiment: TOML, written by `create`, edited by people, checked on reading."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zebfast.exchange import Namespace, Place
from zebfast.experiment.record import (
    BOOTSTRAP_FILE,
    EXAMPLES_KEYS,
    EXPERIMENT_FILE,
    RECIPE_FILE,
    STAGES,
    WEIGHTS_KEYS,
    Experiment,
    ExperimentError,
    Stage,
)
from zebfast.system.files import write_atomic

_FORMAT = 1
_TABLES = ("identity", "places", "fleets", "wandb", "lineage", "learner", "stages")
_KEYS = {
    "identity": ("format", "name", "created", "version", "note", "weights_name", "recipe"),
    "places": (*WEIGHTS_KEYS.values(), *EXAMPLES_KEYS.values(), "state_dir"),
    "fleets": STAGES,
    "wandb": ("enabled", "project", "run"),
    "stages": STAGES,
}


def to_toml(experiment: Experiment) -> str:
    """The text of an experiment's file."""
    import tomli_w

    identity = {
        "format": _FORMAT,
        "name": experiment.name,
        "weights_name": experiment.namespace.stem,
        "created": experiment.created,
        "version": experiment.version,
        "note": experiment.note,
        **_given(recipe=experiment.recipe),
    }
    tables = {
        "identity": identity,
        "places": experiment.place_flags() | _given(state_dir=experiment.state_dir),
        "fleets": dict(experiment.fleets),
        "wandb": {
            "enabled": experiment.wandb,
            "project": experiment.wandb_project,
            "run": experiment.wandb_run or experiment.name,
        },
        "lineage": dict(experiment.lineage),
        "learner": dict(experiment.learner),
        "stages": {stage: dict(settings) for stage, settings in experiment.stages.items()},
    }
    header = (
        "# An experiment: written by `zebfast experiment create`, read by learn, status, runs,\n"
        "# plot and revert. [learner] and [stages.*] take any flag of zebfast-learn, with\n"
        "# underscores: batch_size = 128. A flag given to `learn` goes before both.\n\n"
    )
    return header + tomli_w.dumps(tables)


def write_new(
    experiment: Experiment,
    write_bootstrap: Callable[[Path], None] | None,
    *,
    recipe: str | None = None,
) -> None:
    """Write the experiment's directory, whole or not at all, and never over another.

    Args:
        write_bootstrap: writes the first weights to the path it is given; None for an experiment
            whose namespace has weights already.
        recipe: text of the recipe that it follows, if it follows one.

    Raises:
        ExperimentError: the directory is there already.
        OSError: from the file system; nothing is left behind.
    """
    final = experiment.directory
    if final.exists():
        raise ExperimentError(
            f"{final} exists already: choose another name, or continue that experiment with "
            f"zebfast experiment learn {experiment.name}"
        )
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        if write_bootstrap is not None:
            write_bootstrap(temporary / BOOTSTRAP_FILE)
        if recipe is not None:
            write_atomic(temporary / RECIPE_FILE, recipe.encode())
        write_atomic(temporary / EXPERIMENT_FILE, to_toml(experiment).encode())
        os.rename(temporary, final)  # refuses a directory that somebody filled meanwhile
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_experiment(directory: Path) -> Experiment:
    """The experiment in ``directory``. ExperimentError says what in its file cannot be used."""
    path = directory / EXPERIMENT_FILE
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExperimentError(f"{path} does not exist: see zebfast experiment runs") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} is not a TOML file: {error}") from None
    try:
        return _from_tables(directory, tables)
    except (ValueError, TypeError) as error:
        raise ExperimentError(f"{path} cannot be used: {error}") from None


def list_experiments(parent: Path) -> list[str]:
    """Names of the experiments in a directory, sorted."""
    found = (path.parent.name for path in parent.glob(f"*/{EXPERIMENT_FILE}"))
    return sorted(name for name in found if not name.startswith("."))  # else a killed create's


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _given(**values: str | None) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}


def _from_tables(directory: Path, tables: Mapping[str, Any]) -> Experiment:
    _refuse_unknown("table", tables, _TABLES)
    for name in _TABLES:
        if not isinstance(tables.get(name, {}), dict):
            raise ValueError(f"{name} is not a table: expected [{name}]")
    for name, known in _KEYS.items():
        _refuse_unknown(f"key in [{name}]", tables.get(name, {}), known)
    identity, places = tables.get("identity", {}), tables.get("places", {})
    if identity.get("format") != _FORMAT:
        raise ValueError(f"format is {identity.get('format')!r}: this version reads {_FORMAT}")
    wandb, name = tables.get("wandb", {}), _text(identity, "name")
    if name != directory.name:
        raise ValueError(f"its name is {name!r}, but it lies in {directory.name!r}: rename one")
    created = identity.get("created")
    if not isinstance(created, datetime):
        raise ValueError("created is not a date and time")
    return Experiment(
        directory=directory,
        name=name,
        namespace=Namespace.parse(_text(identity, "weights_name")),
        created=created if created.tzinfo else created.replace(tzinfo=UTC),
        version=_text(identity, "version"),
        note=_text(identity, "note", default=""),
        recipe=_text(identity, "recipe", default="") or None,
        weights=_place(places, WEIGHTS_KEYS),
        examples=_place(places, EXAMPLES_KEYS),
        state_dir=_text(places, "state_dir", default="") or None,
        fleets={k: _text(tables["fleets"], k) for k in tables.get("fleets", {})},
        wandb=_switch(wandb, "enabled"),
        wandb_project=_text(wandb, "project", default="zeb-mcts"),
        wandb_run=_text(wandb, "run", default=""),
        lineage=tables.get("lineage", {}),
        learner=tables.get("learner", {}),
        stages=_stage_tables(tables.get("stages", {})),
    )


def _refuse_unknown(what: str, found: Iterable[str], known: Iterable[str]) -> None:
    for word in found:
        if word not in known:
            raise ValueError(f"unknown {what}: {word!r}{suggestion(word, known)}")


def _text(table: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}: expected text")
    return value


def _switch(table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}: expected true or false")
    return value


def _place(table: Mapping[str, Any], keys: Mapping[Any, str]) -> Place:
    named = [(kind, key) for kind, key in keys.items() if key in table]
    if len(named) != 1:
        found = " and ".join(key for _, key in named) or "none"
        raise ValueError(f"[places] needs exactly one of {', '.join(keys.values())}, not {found}")
    [(kind, key)] = named
    value = _text(table, key)
    if kind != "directory" and not re.fullmatch(r"[^/\s]+/[^/\s]+", value):
        raise ValueError(f"{key} is {value!r}: expected owner/name")
    return Place(kind, value)


def _stage_tables(stages: Mapping[str, Any]) -> dict[Stage, dict[str, Any]]:
    for name, settings in stages.items():
        if not isinstance(settings, dict):
            raise ValueError(f"stages.{name} is not a table: expected [stages.{name}]")
    return {stage: stages[stage] for stage in STAGES if stage in stages}
