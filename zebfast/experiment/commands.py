"""The commands that belong to an experiment, as a person would type them."""

from __future__ import annotations

import shlex

from zebfast.experiment.experiment import EXPERIMENTS_DIR, Experiment, Stage

_WEIGHTS_FLAGS = {"directory": "--weights-dir", "model": "--repo-id"}
_EXAMPLES_FLAGS = {
    "directory": "--output-dir",
    "dataset": "--examples-repo-id",
    "bucket": "--examples-bucket",
}
_MODES: dict[Stage, tuple[str, ...]] = {
    "selfplay": (),
    "evalaux": ("--mode", "eval-aux"),
    "recipe": ("--mode", "recipe"),
}
_FIRST_IDS: dict[Stage, str] = {
    "selfplay": "worker-0",
    "evalaux": "evalaux-0",
    "recipe": "worker-0",
}


def worker_flags(experiment: Experiment, stage: Stage, worker_id: str) -> list[str]:
    """Flags of a worker of the stream that this stage adds."""
    return [
        *(_WEIGHTS_FLAGS[experiment.weights.kind], experiment.weights.name),
        *(_EXAMPLES_FLAGS[experiment.examples.kind], experiment.examples.name),
        *("--weights-name", experiment.namespace.stem),
        *_MODES[stage],
        *("--worker-id", worker_id),
    ]


def worker_command(experiment: Experiment, stage: Stage) -> str:
    """The first worker of that stream; more of them need other worker ids."""
    flags = worker_flags(experiment, stage, _FIRST_IDS[stage])
    return shlex.join(["zebfast", "worker", *flags])


def learn_command(experiment: Experiment, stage: Stage) -> str:
    """The learner in this stage."""
    return _verb(experiment, "learn", experiment.name, *stage_flags(stage))


def stage_flags(stage: Stage) -> tuple[str, ...]:
    """Flags of ``learn`` that name a stage; a learner with a recipe knows its own."""
    return () if stage == "recipe" else ("--stage", stage)


def after_commands(experiment: Experiment) -> list[str]:
    """What can be done with the network of a recipe that has ended."""
    place = experiment.weights
    source = f"zeb:source={place.name},weights_name={experiment.namespace.stem}"
    file = f"{experiment.name}.safetensors"
    lines = [
        shlex.join(["zebfast", "eval", source, "vs", "heuristic2", "--n-games", "4000"]),
        shlex.join(["zebfast", "eval", source, "vs", "eq:n=10", "--n-games", "2000"]),
    ]
    if place.path is not None:
        weights = str(place.path / experiment.namespace.weights_file)
        lines.append(shlex.join(["zebfast", "export", weights, file]))
    return [*lines, _verb(experiment, "plot", experiment.name)]


def status_command(experiment: Experiment) -> str:
    return _verb(experiment, "status", experiment.name)


def fleet_command(experiment: Experiment, verb: str, *arguments: str) -> str:
    """A command on the experiment's rented machines."""
    return _verb(experiment, verb, experiment.name, *arguments, group="fleet")


def _verb(experiment: Experiment, verb: str, *arguments: str, group: str = "experiment") -> str:
    parent = experiment.directory.parent
    where = [] if parent == EXPERIMENTS_DIR else ["--experiments-dir", str(parent)]
    return shlex.join(["zebfast", group, verb, *arguments, *where])
