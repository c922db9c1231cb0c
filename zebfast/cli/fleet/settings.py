"""What is wanted of a fleet, from flags: the same for what is rented and for what is exported."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

import zebfast
from zebfast.cli.fleet.context import Chosen, n_beside
from zebfast.cli.options import (
    Number,
    Whole,
    option,
    setting_option,
    setting_options,
    setting_values,
    together,
)
from zebfast.cli.run import Decorated
from zebfast.fleet.launch import INSTALLED
from zebfast.fleet.model import MOST_MACHINES, OWN, Spec
from zebfast.fleet.providers import NAMES
from zebfast.fleet.task import Task
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, Role
from zebfast.system.redaction import has_secret
from zebfast.system.settings import A_YEAR, SettingError

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


def worker_args(role: Role, given: Sequence[str]) -> tuple[str, ...]:
    """Flags of every worker of a fleet: from the environment, then those given.

    Raises:
        click.UsageError: a worker would refuse them, or they are the fleet's to decide.
    """
    from zebfast.cli.worker import refuse_flags_of_the_other, worker

    kind = BY_ROLE[role]
    mode = kind.mode
    flags = (*(_from_environment() if kind == EVAL_AUX else ()), *given)
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


def _from_environment() -> list[str]:
    flags = []
    for variable, flag in _EVAL_AUX.items():
        if value := os.environ.get(variable):
            flags += [flag, value]
    if value := os.environ.get(_POLICY_TARGETS):
        wanted = click.BOOL.convert(value, None, None)
        flags.append("--eq-policy-targets" if wanted else "--no-eq-policy-targets")
    return flags


_LIMITS = (
    ("loading", Spec.loading_limit, "that is loading"),
    ("setup", Spec.setup_limit, "that runs without a sign of its worker"),
    ("stall", Spec.stall_limit, "that hands over no work"),
    ("fatal", Spec.fatal_grace, "whose worker has failed"),
)


def _limits(*names: str) -> Callable[[Decorated], Decorated]:
    return together(
        *(option(f"--{name}-minutes", Number(0, A_YEAR // 60, low_open=True), limit / 60,
                 f"Replace a machine {when} for so long.")
          for name, limit, when in _LIMITS if name in names)
    )  # fmt: skip


_machines = click.option("-n", "n", type=Whole(1, MOST_MACHINES), default=1, show_default=True,
                         help="Machines that shall play.")  # fmt: skip
_types = click.option("--gpus", envvar="ZEB_GPUS", show_envvar=True, metavar="TYPE,TYPE",
                      help="Types that may be rented, RTX_3060 for RTX 3060  "
                      "[default: any]")  # fmt: skip
_bids = click.option("--interruptible", is_flag=True,
                     help="Bid for machines that somebody may outbid: cheaper, and they go at "
                     "times.")  # fmt: skip
_starts = together(
    click.option("--package", metavar="VERSION|FILE|URL",
                 help="What pip installs there  [default: this version; local, slurm: what is "
                 "here]"),
    setting_options(Spec, "image", "disk_gb", "upload_interval"),
    setting_options(Task),
)  # fmt: skip
#: What a fleet is to be that something looks after.
fleet_settings = together(
    _machines,
    click.option("--provider", "providers", type=click.Choice(NAMES), multiple=True,
                 help="Where to rent; again for the next one to try when this one has nothing; "
                 "local = processes of this machine, slurm = tasks of its cluster  "
                 "[default: vast]"),
    _types,
    setting_options(Spec, "max_price_per_hour", "budget_dollars", "budget_hours",
                    "budget_node_hours"),
    _bids,
    setting_option(Spec, "max_surge"),
    _starts,
    _limits("loading", "setup", "stall", "fatal"),
)  # fmt: skip
#: Those of them that an engine of its own can be told.
export_settings = together(
    _machines,
    _types,
    setting_options(Spec, "max_price_per_hour", "budget_hours"),
    _bids,
    _starts,
    _limits("setup", "stall"),
)


def spec_of(
    chosen: Chosen, worker_flags: tuple[str, ...], *, gpus: str | None,
    providers: tuple[str, ...], package: str | None, interruptible: bool,
    setup_minutes: float, stall_minutes: float, loading_minutes: float = Spec.loading_limit / 60,
    fatal_minutes: float = Spec.fatal_grace / 60, **settings: Any,
) -> Spec:  # fmt: skip
    """What is wanted, as a record. UsageError for flags that the workers would refuse."""
    from zebfast.exchange.hub.uploader import upload_interval_for

    if package is not None and has_secret(package):
        raise click.UsageError(
            "--package has a user or key in it, which providers would show with the machines: "
            "give a version, a file or an address without"
        )
    own = setting_values(Spec, settings)
    try:
        task = Task(**setting_values(Task, settings))
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    experiment, role = chosen.experiment, chosen.role
    # All that upload to one repository of the Hub share its quota.
    n = own["n"] + own.get("max_surge", 0) + n_beside(chosen)
    share = upload_interval_for(n if experiment.examples.kind == "dataset" else 1)
    own.setdefault("upload_interval", share)
    providers = tuple(dict.fromkeys(providers)) or Spec.providers
    _refuse_for_slurm(providers, package, interruptible)
    if package is None:
        package = INSTALLED if set(providers) <= set(OWN) else f"zebfast=={zebfast.__version__}"
    elif Path(package).exists():
        package = str(Path(package).resolve())
    listed = (gpu.replace("_", " ").strip() for gpu in (gpus or "").split(","))
    return Spec(
        fleet=chosen.files.fleet,
        experiment=experiment.name,
        role=role,
        gpus=tuple(gpu for gpu in listed if gpu),
        providers=providers,
        package=package,
        task=task,
        worker_args=worker_args(role, worker_flags),
        interruptible=interruptible,
        loading_limit=60 * loading_minutes,
        setup_limit=60 * setup_minutes,
        stall_limit=60 * stall_minutes,
        fatal_grace=60 * fatal_minutes,
        **own,
    )


def _refuse_for_slurm(providers: Sequence[str], package: str | None, interruptible: bool) -> None:
    """What a rented machine has and a task of Slurm has not."""
    if "slurm" not in providers:
        return
    if len(providers) > 1:
        raise click.UsageError("--provider slurm goes alone: give other machines another --fleet")
    if package not in (None, INSTALLED):
        raise click.UsageError(
            "--package is for machines that start empty, and tasks of Slurm run what is installed "
            "here: leave it out, and install it here"
        )
    if interruptible:
        raise click.UsageError(
            "--interruptible is for providers that take bids: give a --partition or --qos whose "
            "jobs may be preempted"
        )


class CannotRent(RuntimeError):
    """One sentence: why nothing can be rented, and what to do."""


def refuse_unreachable(chosen: Chosen, spec: Spec) -> None:
    """A machine that is not one's own sees no directory of this one. Raises CannotRent."""
    far = [name for name in spec.providers if name not in OWN]
    for place in (chosen.experiment.weights, chosen.experiment.examples):
        if far and place.path is not None:
            raise CannotRent(
                f"machines of {' and '.join(far)} cannot reach the directory {place}: create the "
                "experiment over repositories of the Hub (--repo-id, --examples-repo-id), or use "
                "zebfast fleet up with --provider local"
            )
    if far and Path(spec.package).exists():
        raise CannotRent(
            f"machines of {' and '.join(far)} cannot reach the file {spec.package}: give "
            "--package a version, or an URL that they can reach"
        )
