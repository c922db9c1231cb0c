"""`zebfast fleet up EXPERIMENT`: what machines would cost, and then the machines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import zebfast
from zebfast.cli.fleet.context import (
    NAME,
    TOKEN,
    Chosen,
    as_it_is_now,
    choose,
    command_of,
    confirm,
    fleet_options,
    n_beside,
    open_fleet,
    reconcile_patiently,
)
from zebfast.cli.fleet.status import machines_text, print_estimate, print_report
from zebfast.cli.messages import note
from zebfast.cli.options import (
    Number,
    Whole,
    option,
    setting_option,
    setting_options,
    setting_values,
    together,
)
from zebfast.cli.run import EXIT_FAILED
from zebfast.experiment.commands import learn_command
from zebfast.fleet.launch import INSTALLED
from zebfast.fleet.model import MOST_MACHINES, OWN, Launch, Spec, new_label
from zebfast.fleet.observe import providers_of
from zebfast.fleet.provider import Cluster, WrongSettings
from zebfast.fleet.providers import NAMES
from zebfast.fleet.reconcile import Tick, begin, plan, remembered
from zebfast.fleet.rent import Estimate, Fleet, estimate
from zebfast.fleet.report import report
from zebfast.fleet.task import Task
from zebfast.selfplay.producer_kinds import BY_ROLE, EVAL_AUX, Role
from zebfast.system.redaction import has_secret
from zebfast.system.settings import A_YEAR, SettingError

if TYPE_CHECKING:
    pass

# --- Flags of the workers on rented machines: checked before anything is paid for.

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
_settings = together(
    click.option("-n", "n", type=Whole(1, MOST_MACHINES), default=1, show_default=True,
                 help="Machines that shall play."),
    click.option("--provider", "providers", type=click.Choice(NAMES), multiple=True,
                 help="Where to rent; again for the next one to try when this one has nothing; "
                 "local = processes of this machine, slurm = tasks of its cluster  "
                 "[default: vast]"),
    click.option("--gpus", envvar="ZEB_GPUS", show_envvar=True, metavar="TYPE,TYPE",
                 help="Types that may be rented, RTX_3060 for RTX 3060  [default: any]"),
    setting_options(Spec, "max_price_per_hour", "budget_dollars", "budget_hours",
                    "budget_node_hours"),
    click.option("--interruptible", is_flag=True,
                 help="Bid for machines that somebody may outbid: cheaper, and they go at times."),
    setting_option(Spec, "max_surge"),
    click.option("--package", metavar="VERSION|FILE|URL",
                 help="What pip installs there  [default: this version; local, slurm: what is "
                 "here]"),
    setting_options(Spec, "image", "disk_gb", "upload_interval"),
    setting_options(Task),
    *(option(f"--{name}-minutes", Number(0, A_YEAR // 60, low_open=True), limit / 60,
             f"Replace a machine {when} for so long.")
      for name, limit, when in _LIMITS),
)  # fmt: skip


class CannotRent(RuntimeError):
    """One sentence: why nothing can be rented, and what to do."""


@click.command(
    name="up",
    short_help="Show what machines cost, rent them, let them play.",
    context_settings={"ignore_unknown_options": True},
    help="""Rent machines that play for an experiment. What they cost is shown first, and asked
    about. The same command with other numbers changes a fleet that is there. Something must then
    look after it: zebfast fleet monitor, or zebfast fleet replenish from cron.

    Flags of zebfast worker may follow after --.

    \b
    Examples:
      zebfast fleet up first -n 2 --max-dph 0.10 --dry-run
      zebfast fleet up first -n 2 --gpus RTX_3060,RTX_4070 --budget 5 --yes
      zebfast fleet up first --role evalaux -n 1 -- --n-samples 50""",
)
@fleet_options
@_settings
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be rented, and stop.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print it as JSON.")
@click.argument("worker_flags", nargs=-1, type=click.UNPROCESSED, metavar="[-- WORKER FLAGS]")
def up(
    experiment: str, role: Role | None, fleet: str | None, experiments_dir: Path, yes: bool,
    dry_run: bool, as_json: bool, worker_flags: tuple[str, ...], **settings: Any,
) -> None:  # fmt: skip
    """Show, ask, rent. Exit codes: 0, 1 nothing could be rented, 2 usage or nobody to ask."""
    if as_json and not dry_run:
        raise click.UsageError("--json is for --dry-run; zebfast fleet status has it, too.")
    named = os.environ.get(NAME)
    if named and experiment.startswith("-"):  # it is a worker's: the name came from the environment
        experiment, worker_flags = named, (experiment, *worker_flags)
    chosen = choose(experiment, role, fleet, experiments_dir)
    spec = _spec(chosen, worker_flags, **settings)
    _refuse_unreachable(chosen, spec)
    change = begin(spec)
    wished = remembered(chosen.files, change)
    opened = open_fleet(chosen, providers_of(wished))
    if opened.outlook.weights.read_state() is None:
        raise CannotRent(
            f"experiment {chosen.experiment.name!r} has no weights to play with yet: run "
            f"{learn_command(chosen.experiment, chosen.experiment.own_stages[0])} first, until it "
            "has published them"
        )
    seen = plan(wished, opened.outlook, now=time.time())
    offered = _show(seen, opened, as_json=as_json)
    if dry_run:
        note("Nothing was rented")
        return
    if seen.decision.rent and not offered.offers:
        raise CannotRent(
            "nothing that fits is for rent now: raise --max-dph, name other --gpus or another "
            "--provider, or try again later"
        )
    rent, ended = seen.decision.rent, len(seen.decision.destroy)
    if not yes and (rent or ended):
        deeds = [f"rent {machines_text(rent)}"] if rent else []
        deeds += [f"destroy {machines_text(ended)}"] if ended else []
        confirm(f"{' and '.join(deeds)}?".capitalize(), "rents machines for money")
    done = reconcile_patiently(opened, change)
    now = as_it_is_now(opened, done)
    print_report(report(now.observed, now.decision))
    _say_next(chosen)
    if not done.state.machines:
        raise click.exceptions.Exit(EXIT_FAILED)


def _spec(
    chosen: Chosen, worker_flags: tuple[str, ...], *, gpus: str | None,
    providers: tuple[str, ...], package: str | None, interruptible: bool,
    loading_minutes: float, setup_minutes: float, stall_minutes: float, fatal_minutes: float,
    **settings: Any,
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
    n = own["n"] + own["max_surge"] + n_beside(chosen)
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


def _refuse_unreachable(chosen: Chosen, spec: Spec) -> None:
    """A rented machine sees no directory of this one, and nobody's repository without a token."""
    places = (chosen.experiment.weights, chosen.experiment.examples)
    far = [name for name in spec.providers if name not in OWN]
    for place in places:
        if far and place.path is not None:
            raise CannotRent(
                f"machines of {' and '.join(far)} cannot reach the directory {place}: create the "
                "experiment over repositories of the Hub (--repo-id, --examples-repo-id), or give "
                "--provider local"
            )
    if far and Path(spec.package).exists():
        raise CannotRent(
            f"machines of {' and '.join(far)} cannot reach the file {spec.package}: give "
            "--package a version, or an URL that they can reach"
        )
    if any(place.path is None for place in places) and not os.environ.get(TOKEN):
        raise CannotRent(
            f"{TOKEN} is not set: the machines need a token that may read {places[0]} and write "
            f"to {places[1]}, and nothing else"
        )


def _show(seen: Tick, fleet: Fleet, *, as_json: bool) -> Estimate:
    """What would be done, with its price; the offers that would be taken."""
    state, rent = seen.state, seen.decision.rent
    offered = estimate(state, rent, fleet, silent=seen.observed.silent)
    if as_json:
        click.echo(json.dumps(offered.to_json(), indent=2))
    elif state.machines or seen.decision.destroy:
        print_report(report(seen.observed, seen.decision))
    if rent and not as_json:
        print_estimate(offered, state.spec)
    for offer in offered.offers[:1]:  # a start command that cannot be is better known now
        launch = fleet.launcher(state.spec, offer, new_label(state.spec.fleet, fleet.token()))
        provider = fleet.outlook.providers[offer.provider]
        if isinstance(provider, Cluster):
            _check(provider, launch)
    return offered


def _check(cluster: Cluster, launch: Launch) -> None:
    try:
        cluster.check(launch)
    except WrongSettings as error:
        raise click.UsageError(str(error)) from None


def _say_next(chosen: Chosen) -> None:
    note("Something must look after them:")
    for verb, what in (
        ("monitor", "until Ctrl-C"),
        ("replenish", "once, for cron"),
        ("status", "to see them"),
        ("down", "to end them"),
    ):
        note(f"  {command_of(chosen, verb)}  ({what})")
