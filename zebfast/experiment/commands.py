"""The commands that belong to an experiment, as a person would type them."""

from __future__ import annotations

import shlex

from zebfast.experiment.experiment import EXPERIMENTS_DIR, Experiment
from zebfast.selfplay.producer_kinds import BY_ROLE, RECIPE, SELFPLAY, Role


def worker_flags(experiment: Experiment, stage: Role, worker_id: str) -> list[str]:
    """Flags of a worker of the stream that this stage adds."""
    kind = BY_ROLE[stage]
    places: list[str] = []
    for name, place in experiment.place_flags().items():
        own = "output_dir" if name == "input_dir" else name  # what a learner reads from
        places += ["--" + own.replace("_", "-"), place]
    return [
        *places,
        *("--weights-name", experiment.namespace.stem),
        *(() if kind == SELFPLAY else ("--mode", kind.mode)),
        *("--worker-id", worker_id),
    ]


def worker_command(experiment: Experiment, stage: Role) -> str:
    """The first worker of that stream; more of them need other worker ids."""
    flags = worker_flags(experiment, stage, BY_ROLE[stage].worker_id)
    return shlex.join(["zebfast", "worker", *flags])


def learn_command(experiment: Experiment, stage: Role) -> str:
    """The learner in this stage."""
    return _verb(experiment, "learn", experiment.name, *stage_flags(stage))


def stage_flags(stage: Role) -> tuple[str, ...]:
    """Flags of ``learn`` that name a stage; a learner with a recipe knows its own."""
    return () if stage == RECIPE.role else ("--stage", stage)


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
