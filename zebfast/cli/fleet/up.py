"""`zebfast fleet up EXPERIMENT`: what machines would cost, and then the machines."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click

from zebfast.cli.fleet.context import (
    TOKEN,
    Chosen,
    as_it_is_now,
    choose,
    command_of,
    confirm,
    fleet_options,
    named_experiment,
    open_fleet,
    reconcile_patiently,
)
from zebfast.cli.fleet.settings import CannotRent, fleet_settings, refuse_unreachable, spec_of
from zebfast.cli.fleet.status import machines_text, print_estimate, print_report
from zebfast.cli.messages import note
from zebfast.cli.run import EXIT_FAILED
from zebfast.experiment.commands import learn_command
from zebfast.fleet.model import Launch, Spec, new_label
from zebfast.fleet.observe import providers_of
from zebfast.fleet.provider import Cluster, WrongSettings
from zebfast.fleet.reconcile import Tick, begin, plan, remembered
from zebfast.fleet.rent import Estimate, Fleet, estimate
from zebfast.fleet.report import report
from zebfast.selfplay.producer_kinds import Role


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
@fleet_settings
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
    experiment, worker_flags = named_experiment(experiment, worker_flags)
    chosen = choose(experiment, role, fleet, experiments_dir)
    spec = spec_of(chosen, worker_flags, **settings)
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


def _refuse_unreachable(chosen: Chosen, spec: Spec) -> None:
    """A rented machine sees no directory of this one, and nobody's repository without a token."""
    refuse_unreachable(chosen, spec)
    places = (chosen.experiment.weights, chosen.experiment.examples)
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
