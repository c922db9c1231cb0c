"""Flags of the workers on rented machines: checked before anything is paid for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zebfast.experiment.record import Experiment, Stage

#: Variables of the eval-aux producer, and the flags that say the same on another machine.
_EVAL_AUX = {
    "ZEB_EQ_N_SAMPLES": "--n-samples",
    "ZEB_EQ_GAMES_PER_BATCH": "--games-per-batch",
    "ZEB_EQ_TEMPERATURE": "--zeb-temperature",
}
_POLICY_TARGETS = "ZEB_EQ_POLICY_TARGETS"
#: What a fleet decides for each of its workers.
_FLEETS_OWN = (
    "weights_dir", "repo_id", "output_dir", "examples_repo_id", "examples_bucket", "weights_name",
    "mode", "worker_id", "state_dir", "upload_interval", "n_workers", "seed", "max_batches",
)  # fmt: skip


def worker_args(role: Stage, given: Sequence[str]) -> tuple[str, ...]:
    """Flags of every worker of a fleet: from the environment, then those given.

    Raises:
        click.UsageError: a worker would refuse them, or they are the fleet's to decide.
    """
    from zebfast.cli.worker import refuse_flags_of_the_other, worker

    mode = "eval-aux" if role == "evalaux" else role
    flags = (*(_from_environment() if role == "evalaux" else ()), *given)
    places = ("--weights-dir", "w", "--output-dir", "e", "--mode", mode)
    try:
        _, _, named = worker.make_parser(click.Context(worker)).parse_args(list(given))
        for parameter in named:
            if parameter.name in _FLEETS_OWN:
                flag = parameter.opts[0]
                raise click.UsageError(f"{flag} is decided by the fleet: leave it out")
        context = worker.make_context("worker", [*places, *flags])
        refuse_flags_of_the_other(context, mode)
    except click.UsageError as error:
        raise click.UsageError(f"flags of the workers: {error.format_message()}") from None
    return flags


def quota_interval(experiment: Experiment, n: int) -> float:
    """Seconds between one worker's uploads so that ``n`` of them stay within the Hub's quota."""
    from zebfast.exchange.uploader import upload_interval_for

    return upload_interval_for(n if experiment.examples.kind == "dataset" else 1)


def _from_environment() -> list[str]:
    flags = []
    for variable, flag in _EVAL_AUX.items():
        if value := os.environ.get(variable):
            flags += [flag, value]
    if value := os.environ.get(_POLICY_TARGETS):
        wanted = click.BOOL.convert(value, None, None)
        flags.append("--eq-policy-targets" if wanted else "--no-eq-policy-targets")
    return flags
