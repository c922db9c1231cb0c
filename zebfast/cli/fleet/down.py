"""`zebfast fleet down EXPERIMENT`: nothing is wanted any more, and nothing is left."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from zebfast.cli.fleet.context import (
    Chosen,
    confirm,
    fleets_options,
    open_fleet,
    open_outlook,
    reconcile_patiently,
    strange_state,
    usable_providers,
)
from zebfast.cli.fleet.status import machines_text, print_report
from zebfast.cli.messages import note
from zebfast.cli.options import Number
from zebfast.cli.run import EXIT_FAILED, user_sentence
from zebfast.experiment.commands import fleet_command
from zebfast.fleet.model import FleetState
from zebfast.fleet.observe import providers_of
from zebfast.fleet.providers import NAMES
from zebfast.fleet.reconcile import end, plan
from zebfast.fleet.report import report
from zebfast.fleet.state_file import FleetFileError, read_state, set_aside
from zebfast.system.settings import A_DAY

_PAUSE = 3.0  # between looks, while something is left


@click.command(
    name="down",
    short_help="Destroy every machine, and see that none is left.",
    help="""End the fleets of an experiment: first it is written down that nothing is wanted, so
    that no monitor rents again; then every machine with their label is destroyed, remembered or
    not, and looked for again until none is left. What they handed over stays.

    \b
    Examples:
      zebfast fleet down first --dry-run
      zebfast fleet down first --role evalaux --yes""",
)
@fleets_options
@click.option("--provider", "providers", type=click.Choice(NAMES), multiple=True,
              help="Look there, too  [default: where machines were rented, and where there is a "
              "key]")  # fmt: skip
@click.option("--wait", type=Number(0, A_DAY), default=60.0, show_default=True,
              help="Seconds to wait until nothing is left.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be destroyed, and stop.")
def down(
    listed: Sequence[Chosen], providers: tuple[str, ...], wait: float, yes: bool, dry_run: bool
) -> None:
    """Ask, destroy, look. Exit codes: 0 nothing is left, 1 something is, 2 nobody to ask."""
    ending = [_Ending(chosen, providers) for chosen in listed]
    for each in ending:
        each.show()
    if dry_run:
        note("Nothing was changed")
        return
    machines = [machine for each in ending for machine in each.machines]
    if machines and not yes:
        price_per_hour = sum(machine.price_per_hour or 0.0 for machine in machines)
        question = f"Destroy {machines_text(len(machines))} (${price_per_hour:.3f}/h)?"
        confirm(question, "destroys machines")
    for each in ending:
        each.end()  # of both fleets, before time is spent on either
    left = [sentence for each in ending for sentence in each.wait(wait)]
    for sentence in left:
        note(sentence)
    if left:
        again = fleet_command(ending[0].chosen.experiment, "down")
        note(f"Not everything is certain to be gone: run {again} again")
        raise click.exceptions.Exit(EXIT_FAILED)
    note("Nothing is left")


class _Ending:
    """One fleet on its way down."""

    def __init__(self, chosen: Chosen, more: Sequence[str]) -> None:
        self.chosen = chosen
        self._damage: FleetFileError | None = None
        try:
            known = read_state(chosen.files.state)
        except FleetFileError as error:
            known, self._damage = None, error
        self._is_known = known is not None
        self._change = end(strange_state(chosen))
        state = self._change(known)
        self._fleet = open_fleet(chosen, self._providers(state, more))
        self._tick = plan(state, self._fleet.outlook, now=time.time())
        self.machines = self._tick.observed.machines

    def _providers(self, state: FleetState, more: Sequence[str]) -> list[str]:
        """All that may have machines; one that only might is left out if its library is missing."""
        needed = (*more, *(providers_of(state) if self._is_known else ()))
        names = list(dict.fromkeys((*needed, *usable_providers(self.chosen))))
        for name in tuple(names):
            try:
                open_outlook(self.chosen, [name])
            except ModuleNotFoundError as error:
                if name in needed:
                    raise
                note(f"{name} is not asked for machines: {user_sentence(error)}")
                names.remove(name)
        return names

    def show(self) -> None:
        """What there is."""
        if self._damage is not None:
            note(f"{self._damage}")
        if self._is_known or self.machines:
            print_report(report(self._tick.observed, self._tick.decision))

    def end(self) -> None:
        """Nothing is wanted from here on; one look that destroys what it finds."""
        if self._damage is not None:
            note(f"set aside as {set_aside(self.chosen.files.state)}")
        elif not (self._is_known or self.machines):
            return
        self._tick = reconcile_patiently(self._fleet, self._change)

    def wait(self, seconds: float) -> list[str]:
        """Look until nothing is left; a sentence for all that may be there after so long."""
        deadline = time.monotonic() + seconds
        pause = 0.0
        while not self._tick.is_over and time.monotonic() + pause <= deadline:
            time.sleep(pause)
            pause = min(_PAUSE, 2 * pause + 0.2)
            self._tick = reconcile_patiently(self._fleet, self._change)
        return [] if self._tick.is_over else self._left()

    def _left(self) -> list[str]:
        observed = self._tick.observed
        listed = []
        for machine in observed.machines:
            price = machine.price_per_hour
            at = "" if price is None else f" at ${price:.3f}/h"
            where = f"{machine.provider} {machine.id}"
            listed.append(f"{machine.label} ({where}) is still there{at}")
        listed += [
            f"{machine.label} ({machine.provider} {machine.id}) is still ending"
            for machine in observed.over.values()
            if machine.state == "ending"
        ]
        labels = {machine.label for machine in (*observed.machines, *observed.over.values())}
        asked = [
            f"{known.label} was asked of {known.provider} and is in no list yet: it may still come"
            for label, known in self._tick.state.machines.items()
            if label not in labels and known.provider not in observed.silent
        ]
        silent = [f"{name} does not say what is left there" for name in sorted(observed.silent)]
        return listed + asked + silent
