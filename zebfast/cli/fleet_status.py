"""`zebfast fleet status EXPERIMENT`: each rented machine, what it costs, how it is."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import click

from zebfast.cli.experiments import note
from zebfast.cli.fleet_text import print_report
from zebfast.cli.fleets import (
    Chosen,
    all_option,
    choose_some,
    fleet_options,
    open_outlook,
    strange_state,
)
from zebfast.experiment.commands import fleet_command
from zebfast.experiment.record import Stage
from zebfast.fleet.look import providers_of
from zebfast.fleet.reconcile import glance
from zebfast.fleet.report import Report, report
from zebfast.fleet.state_file import read_state


@click.command(
    name="status",
    short_help="Show each machine, what it costs, how it is.",
    help="""Show the machines of an experiment's fleets as their providers list them now, with
    what their workers say of themselves, and what it costs. Changes nothing.

    \b
    Examples:
      zebfast fleet status first
      watch -n 60 zebfast fleet status first --role selfplay""",
)
@fleet_options
@all_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as a JSON list of fleets.")
def status(
    experiment: str, role: Stage | None, fleet: str | None, both: bool, as_json: bool,
    experiments_dir: Path,
) -> None:  # fmt: skip
    """Look, print. Exit codes: 0, 1 unusable state, 2 usage."""
    listed = choose_some(experiment, role, fleet, both, experiments_dir)
    reports = [found for chosen in listed if (found := _report(chosen)) is not None]
    if as_json:
        click.echo(json.dumps([each.to_json() for each in reports], indent=2))
        return
    for each in reports:
        print_report(each)
    if not reports:
        names = " or ".join(chosen.files.fleet for chosen in listed)
        example = fleet_command(listed[0].experiment, "up", "-n", "2")
        note(f"There is no fleet {names}; {example} rents one")


def _report(chosen: Chosen) -> Report | None:
    """One fleet; None for one that was never begun and of which nobody lists a machine."""
    strange = strange_state(chosen)
    known = read_state(chosen.files.state)
    if known is None and not strange.spec.providers:
        return None
    state = known or replace(strange, wanted=True)
    outlook = open_outlook(chosen, providers_of(state))
    seen = glance(state, outlook, now=time.time(), say=note)
    found = report(seen.observed, seen.decision)
    if known is not None:
        return found
    if not found.rows:
        return None
    note(f"Nobody looks after {chosen.files.fleet}: zebfast fleet down ends its machines")
    return found
