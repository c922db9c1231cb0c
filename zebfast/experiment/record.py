"""What an experiment is: the names and places that all of its programs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from zebfast.exchange import ExchangeError, Namespace, Place

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
