"""`zebfast fleet replenish EXPERIMENT`: one look, and what follows from it; for cron."""

from __future__ import annotations

import time
from pathlib import Path

import click

from zebfast.cli.experiments import note
from zebfast.cli.fleet_text import machines_text, print_report
from zebfast.cli.fleets import (
    Chosen,
    all_option,
    as_it_is_now,
    choose_some,
    fleet_options,
    known_fleets,
    open_fleet,
)
from zebfast.cli.run import EXIT_FAILED, user_sentence
from zebfast.experiment.record import Stage
from zebfast.fleet.look import providers_of
from zebfast.fleet.provider import ProviderError
from zebfast.fleet.reconcile import FleetBusy, Tick, glance, remembered, tick
from zebfast.fleet.report import report
from zebfast.fleet.state_file import FleetFileError
from zebfast.fleet.wishes import resize


@click.command(
    name="replenish",
    short_help="Replace what is missing or broken, once.",
    help="""Look at an experiment's fleets once: destroy what is broken, too dear or too much, and
    rent what is missing, under the limits that were given to up. Safe to run at any time, from
    cron too: where another fleet command is at work, this one leaves it to that.

    \b
    Examples:
      zebfast fleet replenish first --dry-run
      zebfast fleet replenish first --role selfplay -n 4
      */5 * * * * cd /srv/zebfast && zebfast fleet replenish first""",
)
@fleet_options
@all_option
@click.option("-n", "n", type=click.IntRange(min=0), help="So many machines from now on.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
def replenish(
    experiment: str, role: Stage | None, fleet: str | None, both: bool, n: int | None,
    dry_run: bool, experiments_dir: Path,
) -> None:  # fmt: skip
    """One tick of each fleet. Exit codes: 0, 1 unusable state, 2 usage."""
    found = known_fleets(choose_some(experiment, role, fleet, both, experiments_dir))
    if n is not None and len(found) > 1:
        raise click.UsageError("-n is for one fleet: give --role, too.")
    failed = False
    for chosen in found:
        try:
            done = _look(chosen, n) if dry_run else _tick(chosen, n)
        except FleetBusy as busy:
            note(f"{busy}; it is left to that one")
            continue
        except (FleetFileError, ProviderError, OSError) as error:
            if len(found) == 1:
                raise
            note(f"{chosen.files.fleet}: {user_sentence(error)}")  # the other is looked after still
            failed = True
            continue
        print_report(report(done.observed, done.decision))
        if dry_run:
            _say_plan(done)
    if failed:
        raise click.exceptions.Exit(EXIT_FAILED)


def _tick(chosen: Chosen, n: int | None) -> Tick:
    fleet = open_fleet(chosen, providers_of(remembered(chosen.files)))
    return as_it_is_now(fleet, tick(fleet, resize(n)))


def _look(chosen: Chosen, n: int | None) -> Tick:
    state = remembered(chosen.files, resize(n))
    opened = open_fleet(chosen, providers_of(state))
    return glance(state, opened.outlook, now=time.time(), say=note)


def _say_plan(seen: Tick) -> None:
    for each in seen.decision.destroy:
        note(f"Would destroy {each.machine.label}: {each.reason}")
    if seen.decision.rent:
        cap = seen.state.spec.max_dph
        note(f"Would rent {machines_text(seen.decision.rent)}, each for at most ${cap:.3f}/h")
    note("Nothing was changed")
