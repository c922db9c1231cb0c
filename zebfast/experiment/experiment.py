"""What an experiment is: the names and places that all of its programs share."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zebfast.exchange import ExchangeError, Namespace, Place
from zebfast.learner.recipe import Recipe, RecipeError, read_recipe
from zebfast.selfplay.producer_kinds import BY_ROLE, LED_ROLES, RECIPE, Role
from zebfast.system.files import read_plain, write_atomic
from zebfast.system.parse import MAX_TOML_BYTES, parse_toml
from zebfast.system.settings import SettingError, decode, did_you_mean, encode
from zebfast.worker.options import task_of

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
    fleets: Mapping[Role, str] = field(default_factory=dict)
    wandb: bool = False
    wandb_project: str = "zeb-mcts"
    wandb_run: str = ""
    lineage: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    learner: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[Role, Mapping[str, Any]] = field(default_factory=dict)

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
    def own_stages(self) -> tuple[Role, ...]:
        """The stages that this experiment has, the one that it begins with first."""
        return own_stages(self.recipe)

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

    def stage_settings(self, stage: Role) -> dict[str, Any]:
        """Settings of the learner in this stage, by flag variable, the more special ones last."""
        run_name = self.wandb_run or self.name
        if stage in LED_ROLES:
            run_name += f"-stage{LED_ROLES.index(stage)}"
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
            **BY_ROLE[stage].stage,
            **self.stages.get(stage, {}),
        }


def own_stages(recipe: str | None) -> tuple[Role, ...]:
    """The stages of an experiment that a person leads, or of one that follows a recipe."""
    return LED_ROLES if recipe is None else (RECIPE.role,)


def fleet_names(name: str, stages: tuple[Role, ...] = LED_ROLES) -> dict[Role, str]:
    """Labels of the rented workers of an experiment, for the stream of each of its stages."""
    return {stage: f"zeb-{name}-{stage}" for stage in stages}


def experiment_namespace(name: str) -> Namespace:
    """Namespace of an experiment of this name. ValueError where it can be none."""
    namespace = Namespace.parse(name, called="experiment's name")
    if namespace.name is None:
        raise ValueError(f"an experiment needs a name of its own: {name!r} is the nameless one")
    return namespace


# --- The file of an experiment: TOML, written by `create`, edited by people, checked on reading.

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class _Identity:
    format: int = _FORMAT
    name: str
    weights_name: str
    created: datetime
    version: str
    note: str = ""
    recipe: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Exactly one of WEIGHTS_KEYS, and one of EXAMPLES_KEYS."""

    weights_dir: str | None = None
    repo_id: str | None = None
    input_dir: str | None = None
    examples_repo_id: str | None = None
    examples_bucket: str | None = None
    state_dir: str | None = None

    def place(self, keys: Mapping[Any, str]) -> Place:
        named = [(kind, key) for kind, key in keys.items() if getattr(self, key) is not None]
        if len(named) != 1:
            found = " and ".join(key for _, key in named) or "none"
            expected = ", ".join(keys.values())
            raise SettingError(f"[places] needs exactly one of {expected}, not {found}")
        [(kind, key)] = named
        value = getattr(self, key)
        if kind != "directory" and not re.fullmatch(r"[^/\s]+/[^/\s]+", value):
            raise SettingError(f"{key} is {value!r}: expected owner/name")
        return Place(kind, value)


@dataclass(frozen=True, kw_only=True)
class _Wandb:
    enabled: bool = False
    project: str = "zeb-mcts"
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class _File:
    """The file's tables as they stand."""

    identity: _Identity
    places: _Places
    fleets: Mapping[Role, str] = field(default_factory=dict)
    wandb: _Wandb = _Wandb()
    lineage: Mapping[str, Any] = field(default_factory=dict)
    learner: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[Role, Mapping[str, Any]] = field(default_factory=dict)


def to_toml(experiment: Experiment) -> str:
    """The text of an experiment's file."""
    import tomli_w

    file = _File(
        identity=_Identity(
            name=experiment.name,
            weights_name=experiment.namespace.stem,
            created=experiment.created,
            version=experiment.version,
            note=experiment.note,
            recipe=experiment.recipe,
        ),
        places=_Places(**experiment.place_flags(), state_dir=experiment.state_dir),
        fleets=experiment.fleets,
        wandb=_Wandb(
            enabled=experiment.wandb,
            project=experiment.wandb_project,
            run=experiment.wandb_run or experiment.name,
        ),
        lineage=experiment.lineage,
        learner=experiment.learner,
        stages=experiment.stages,
    )
    header = (
        "# An experiment: written by `zebfast experiment create`, read by learn, status, runs,\n"
        "# plot and revert. [learner] and [stages.*] take any flag of zebfast-learn, with\n"
        "# underscores: batch_size = 128. A flag given to `learn` goes before both.\n\n"
    )
    return header + tomli_w.dumps(encode(file, leave_none=True))


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
        tables = parse_toml(read_plain(path, MAX_TOML_BYTES).decode("utf-8"))
    except FileNotFoundError:
        raise ExperimentError(f"{path} does not exist: see zebfast experiment runs") from None
    except ValueError as error:
        raise ExperimentError(f"{path} is not a TOML file: {error}") from None
    try:
        return _from_tables(directory, tables)
    except ValueError as error:
        raise ExperimentError(f"{path} cannot be used: {error}") from None


def list_experiments(parent: Path) -> list[str]:
    """Names of the experiments in a directory, sorted."""
    found = (path.parent.name for path in parent.glob(f"*/{EXPERIMENT_FILE}"))
    return sorted(name for name in found if not name.startswith("."))  # else a killed create's


def _from_tables(directory: Path, tables: Mapping[str, Any]) -> Experiment:
    found = tables.get("identity", {})
    if isinstance(found, dict) and found.get("format") != _FORMAT:
        raise SettingError(f"format is {found.get('format')!r}: this version reads {_FORMAT}")
    file = decode(_File, tables)
    identity, name = file.identity, file.identity.name
    if name != directory.name:
        raise SettingError(f"its name is {name!r}, but it lies in {directory.name!r}: rename one")
    created = identity.created
    return Experiment(
        directory=directory,
        name=name,
        namespace=Namespace.parse(identity.weights_name),
        created=created if created.tzinfo else created.replace(tzinfo=UTC),
        version=identity.version,
        note=identity.note,
        recipe=identity.recipe or None,
        weights=file.places.place(WEIGHTS_KEYS),
        examples=file.places.place(EXAMPLES_KEYS),
        state_dir=file.places.state_dir or None,
        fleets=file.fleets,
        wandb=file.wandb.enabled,
        wandb_project=file.wandb.project,
        wandb_run=file.wandb.run,
        lineage=file.lineage,
        learner=file.learner,
        stages=file.stages,
    )


# --- Recipes as data: those that come with the package, by name, and files of one's own.

_RECIPES_DIR = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in _RECIPES_DIR.glob("*.toml") if "." not in path.stem)


def find_recipe(name_or_file: str, *, trained: bool = False) -> Path:
    """The file of the recipe of this name, or the file that this is.

    Args:
        trained: the run begins with trained weights, for which some recipes have a text of their
            own, without the stages that they need no more.

    Raises:
        ExperimentError: there is none.
    """
    known = recipe_names()
    if name_or_file in known:
        further = _RECIPES_DIR / f"{name_or_file}.trained.toml"
        return further if trained and further.is_file() else _RECIPES_DIR / f"{name_or_file}.toml"
    path = Path(name_or_file).expanduser()
    if not path.is_file():
        raise ExperimentError(
            f"there is no recipe {name_or_file!r}{did_you_mean(name_or_file, known)}; expected "
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
