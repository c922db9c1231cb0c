"""What an experiment is: the names and places that all of its programs share."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from zebfast.exchange import ExchangeError, Namespace, Place
from zebfast.learner.recipe import Recipe, RecipeError, read_recipe
from zebfast.system.files import write_atomic
from zebfast.worker.options import task_of

Stage = Literal["selfplay", "evalaux", "recipe"]
STAGES: tuple[Stage, ...] = get_args(Stage)
#: The stages of an experiment that a person leads, and of one that follows a recipe.
LED_STAGES: tuple[Stage, ...] = ("selfplay", "evalaux")
RECIPE_STAGES: tuple[Stage, ...] = ("recipe",)
EXPERIMENTS_DIR = Path("experiments")
EXPERIMENT_FILE = "experiment.toml"
BOOTSTRAP_FILE = "bootstrap.pt"
RECIPE_FILE = "recipe.toml"
RUN_LOG_FILE = "runs.jsonl"

#: Flags of zebfast-learn by the kind of place that they name, as the file spells them.
WEIGHTS_KEYS = {"directory": "weights_dir", "model": "repo_id"}
EXAMPLES_KEYS = {
    "directory": "input_dir",
    "dataset": "examples_repo_id",
    "bucket": "examples_bucket",
}
#: What the stages mean to the learner, unless the experiment says otherwise.
STAGE_SETTINGS: dict[Stage, dict[str, Any]] = {
    "selfplay": {"eval_aux_enabled": False, "eval_aux_batch_fraction": 0.0},
    "evalaux": {
        "eval_aux_enabled": True,
        "eval_aux_batch_fraction": 0.05,
        "eval_aux_policy_weight": 0.0,
    },
    "recipe": {"eval_aux_enabled": False, "eval_aux_batch_fraction": 0.0},
}


class ExperimentError(ExchangeError):
    """One sentence: the experiment or its file, what is wrong with it, what to do."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment as its file says it is.

    Attributes:
        directory: where the file lies; the bootstrap, run log and pictures lie beside it.
        fleets: label of the rented workers of each stage's stream.
        wandb_run: display name of the W&B run, without the stage that is added to it.
        lineage: where the first weights came from; plain values, ``kind`` among them.
        recipe: name of the recipe that it follows, kept beside its file; None = led by hand.
        learner: settings of every run by the name of the learner's flag, ``batch_size`` for
            ``--batch-size``; ``stages`` those of one stage, which come on top.
    """

    directory: Path
    name: str
    namespace: Namespace
    created: datetime
    version: str
    weights: Place
    examples: Place
    state_dir: str | None = None
    note: str = ""
    fleets: Mapping[str, str] = field(default_factory=dict)
    wandb: bool = False
    wandb_project: str = "zeb-mcts"
    wandb_run: str = ""
    lineage: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    learner: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[Stage, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.directory / EXPERIMENT_FILE

    @property
    def bootstrap(self) -> Path:
        return self.directory / BOOTSTRAP_FILE

    @property
    def recipe_path(self) -> Path:
        """The recipe, where it follows one."""
        return self.directory / RECIPE_FILE

    @property
    def own_stages(self) -> tuple[Stage, ...]:
        """The stages that this experiment has, the one that it begins with first."""
        return LED_STAGES if self.recipe is None else RECIPE_STAGES

    @property
    def is_local(self) -> bool:
        """Are both its places directories of this machine?"""
        return self.weights.path is not None and self.examples.path is not None

    @property
    def run_log(self) -> Path:
        return self.directory / RUN_LOG_FILE

    def place_flags(self) -> dict[str, str]:
        """The places as flags of the learner: name of the flag's variable -> value."""
        return {
            WEIGHTS_KEYS[self.weights.kind]: self.weights.name,
            EXAMPLES_KEYS[self.examples.kind]: self.examples.name,
        }

    def stage_settings(self, stage: Stage) -> dict[str, Any]:
        """Settings of the learner in this stage, by flag variable, the more special ones last."""
        run_name = self.wandb_run or self.name
        if stage in LED_STAGES:
            run_name += f"-stage{LED_STAGES.index(stage)}"
        return {
            "weights_name": self.namespace.name,
            "checkpoint": str(self.bootstrap) if self.bootstrap.is_file() else None,
            "state_dir": self.state_dir,
            "wandb": self.wandb,
            "wandb_project": self.wandb_project,
            "run_name": run_name,
            "recipe": None if self.recipe is None else str(self.recipe_path),
            **self.place_flags(),
            **self.learner,
            **STAGE_SETTINGS[stage],
            **self.stages.get(stage, {}),
        }


def fleet_names(name: str, stages: tuple[Stage, ...] = LED_STAGES) -> dict[str, str]:
    """Labels of the rented workers of an experiment, for the stream of each of its stages."""
    return {stage: f"zeb-{name}-{stage}" for stage in stages}


def experiment_namespace(name: str) -> Namespace:
    """Namespace of an experiment of this name. ValueError where it can be none."""
    namespace = Namespace.parse(name)
    if namespace.name is None:
        raise ValueError(f"an experiment needs a name of its own: {name!r} is the nameless one")
    return namespace


# --- The file of an experiment: TOML, written by `create`, edited by people, checked on reading.

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


# --- Recipes as data: those that come with the package, by name, and files of one's own.

_RECIPES_DIR = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in _RECIPES_DIR.glob("*.toml"))


def find_recipe(name_or_file: str) -> Path:
    """The file of the recipe of this name, or the file that this is.

    Raises:
        ExperimentError: there is none.
    """
    known = recipe_names()
    if name_or_file in known:
        return _RECIPES_DIR / f"{name_or_file}.toml"
    path = Path(name_or_file).expanduser()
    if not path.is_file():
        raise ExperimentError(
            f"there is no recipe {name_or_file!r}{suggestion(name_or_file, known)}; expected "
            f"{', '.join(known)}, or a TOML file"
        )
    return path


def load_recipe(path: Path) -> Recipe:
    """The recipe in a file. ExperimentError where learner or workers could not follow it."""
    try:
        recipe = read_recipe(path)
    except RecipeError as error:
        raise ExperimentError(str(error)) from None
    for stage in recipe.stages:
        try:
            task_of(stage.producer, {})
        except ValueError as error:
            raise ExperimentError(
                f"recipe {path} cannot be used: in stage {stage.name!r} the producer's {error}"
            ) from None
    return recipe


def recipe_of(experiment: Experiment) -> Recipe | None:
    """The recipe that an experiment follows, if it follows one. ExperimentError as above."""
    return None if experiment.recipe is None else load_recipe(experiment.recipe_path)
