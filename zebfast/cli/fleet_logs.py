"""`zebfast fleet logs EXPERIMENT [MACHINE]`: what rented machines have printed."""

from __future__ import annotations

from pathlib import Path

import click

from zebfast.cli.experiments import note
from zebfast.cli.fleet_text import print_lines
from zebfast.cli.fleets import (
    all_option,
    choose_some,
    fleet_options,
    known_fleets,
    open_outlook,
)
from zebfast.cli.run import EXIT_FAILED
from zebfast.experiment.record import Stage
from zebfast.fleet.look import providers_of
from zebfast.fleet.model import Machine
from zebfast.fleet.provider import Provider, ProviderError
from zebfast.fleet.reconcile import remembered


@click.command(
    name="logs",
    short_help="Print what machines have printed.",
    help="""Print the last lines of the log of each machine, or of one: MACHINE is its label, the
    end of that, or its provider's number, as zebfast fleet status shows them.

    \b
    Examples:
      zebfast fleet logs first
      zebfast fleet logs first 3fa9c1d2 --lines 200""",
)
@fleet_options
@click.argument("machine", required=False)
@all_option
@click.option("--lines", type=click.IntRange(min=1), default=40, show_default=True,
              help="Lines of each machine.")  # fmt: skip
def logs(
    experiment: str, machine: str | None, role: Stage | None, fleet: str | None, both: bool,
    lines: int, experiments_dir: Path,
) -> None:  # fmt: skip
    """Ask, print. Exit codes: 0, 1 a log could not be had, 2 no such machine."""
    listed = []
    for chosen in known_fleets(choose_some(experiment, role, fleet, both, experiments_dir)):
        outlook = open_outlook(chosen, providers_of(remembered(chosen.files)))
        for provider in outlook.providers.values():
            listed += [(each, provider) for each in provider.machines(chosen.files.fleet)]
    found = [pair for pair in listed if machine is None or _is_meant(pair[0], machine)]
    if machine is not None and not found:
        known = ", ".join(each.label for each, _ in listed) or "none"
        raise click.UsageError(f"There is no machine {machine!r}; those there are: {known}")
    had = [_print(each, provider, lines, alone=machine is not None) for each, provider in found]
    if not found:
        note("There are no machines")
    if not all(had):
        raise click.exceptions.Exit(EXIT_FAILED)


def _is_meant(machine: Machine, name: str) -> bool:
    return name in (machine.label, machine.label.rsplit("/", 1)[-1], machine.id, machine.key)


def _print(machine: Machine, provider: Provider, lines: int, *, alone: bool) -> bool:
    if not alone:
        print_lines([f"==> {machine.label} ({machine.provider} {machine.id}) <=="])
    try:
        print_lines(provider.logs(machine.id, lines=lines).splitlines())
    except ProviderError as error:
        note(f"{machine.label}: {error}")
        return False
    return True
