"""The commands that belong to an experiment, as a person would type them."""

from __future__ import annotations

import shlex

from zebfast.experiment.record import EXPERIMENTS_DIR, Experiment, Stage

_WEIGHTS_FLAGS = {"directory": "--weights-dir", "model": "--repo-id"}
_EXAMPLES_FLAGS = {
    "directory": "--output-dir",
    "dataset": "--examples-repo-id",
    "bucket": "--examples-bucket",
}
_WORKERS: dict[Stage, tuple[str, ...]] = {
    "selfplay": ("--worker-id", "worker-0"),
    "evalaux": ("--mode", "eval-aux", "--worker-id", "evalaux-0"),
}


def worker_command(experiment: Experiment, stage: Stage) -> str:
    """A worker of the stream that this stage adds; more of them need other worker ids."""
    return shlex.join(
        [
            *("zebfast", "worker"),
            *(_WEIGHTS_FLAGS[experiment.weights.kind], experiment.weights.name),
            *(_EXAMPLES_FLAGS[experiment.examples.kind], experiment.examples.name),
            *("--weights-name", experiment.namespace.stem),
            *_WORKERS[stage],
        ]
    )


def learn_command(experiment: Experiment, stage: Stage) -> str:
    """The learner in this stage."""
    return _verb(experiment, "learn", experiment.name, "--stage", stage)


def status_command(experiment: Experiment) -> str:
    return _verb(experiment, "status", experiment.name)


def _verb(experiment: Experiment, verb: str, *arguments: str) -> str:
    parent = experiment.directory.parent
    where = [] if parent == EXPERIMENTS_DIR else ["--experiments-dir", str(parent)]
    return shlex.join(["zebfast", "experiment", verb, *arguments, *where])
