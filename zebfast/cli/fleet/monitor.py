"""`zebfast fleet monitor EXPERIMENT`: look again and again, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from zebfast.cli.fleet.context import (
    Chosen,
    as_it_is_now,
    command_of,
    fleets_options,
    known_fleets,
    open_fleet,
)
from zebfast.cli.fleet.status import machines_text, print_lines, print_report, summary_text
from zebfast.cli.messages import messages_to, note
from zebfast.cli.options import Number, Whole
from zebfast.cli.run import EXIT_FAILED, EXIT_OK, user_sentence
from zebfast.fleet.model import MOST_MACHINES
from zebfast.fleet.observe import providers_of
from zebfast.fleet.provider import ProviderError
from zebfast.fleet.reconcile import FleetBusy, Tick, plan, reconcile, remembered, resize
from zebfast.fleet.rent import Fleet
from zebfast.fleet.report import report
from zebfast.fleet.state_file import FleetFileError
from zebfast.system.events import FleetNews
from zebfast.system.settings import A_DAY
from zebfast.system.signals import StopFlag, Stopped

# --- `zebfast fleet replenish EXPERIMENT`: one look, and what follows from it; for cron.


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
@fleets_options
@click.option("-n", "n", type=Whole(0, MOST_MACHINES), help="So many machines from now on.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
def replenish(listed: Sequence[Chosen], n: int | None, dry_run: bool) -> None:
    """One tick of each fleet. Exit codes: 0, 1 unusable state, 2 usage."""
    _replenish(known_fleets(listed), n, dry_run)


def _replenish(found: Sequence[Chosen], n: int | None, dry_run: bool) -> None:
    if n is not None and len(found) > 1:
        raise click.UsageError("-n is for one fleet: give --role, too.")
    failed = False
    for chosen in found:
        try:
            done = _look(chosen, n, dry_run)
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


def _look(chosen: Chosen, n: int | None, dry_run: bool) -> Tick:
    state, change = remembered(chosen.files), resize(n)
    fleet = open_fleet(chosen, providers_of(state))
    if dry_run:
        return plan(change(state), fleet.outlook, now=time.time())
    return as_it_is_now(fleet, reconcile(fleet, change))


def _say_plan(seen: Tick) -> None:
    for each in seen.decision.destroy:
        note(f"Would destroy {each.machine.label}: {each.reason}")
    if seen.decision.rent:
        cap = seen.state.spec.max_price_per_hour
        note(f"Would rent {machines_text(seen.decision.rent)}, each for at most ${cap:.3f}/h")
    note("Nothing was changed")


FAST_FOR = 1800.0  # seconds after the start, or after the last change
_ABOVE_0 = Number(0, A_DAY, low_open=True)


@click.command(
    name="monitor",
    short_help="Replace what breaks, until Ctrl-C.",
    help="""Look at an experiment's fleets again and again: replace what breaks, take down what
    is no longer wanted. Often for half an hour after the start and after every change, then
    seldom. Prints what changes, and a line for each look. Ctrl-C ends the looking, not the
    machines. Ends by itself once nothing is wanted and nothing is left.

    \b
    Example:
      zebfast fleet monitor first""",
)
@fleets_options
@click.option("--fast", type=_ABOVE_0, default=30.0, show_default=True, help="Seconds between "
              "looks at first.")  # fmt: skip
@click.option("--slow", type=_ABOVE_0, default=300.0, show_default=True, help="Seconds between "
              "looks when nothing has changed for half an hour.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what the first look would do, and stop.")
def monitor(listed: Sequence[Chosen], fast: float, slow: float, dry_run: bool) -> int:
    """Tick until told to stop. Exit codes: 0 no longer wanted, 1 unusable state, 130, 143, 129."""
    found = known_fleets(listed)
    if dry_run:
        _replenish(found, None, dry_run)
        return EXIT_OK
    watches = live = [_Watch(chosen) for chosen in found]
    quiet_since = time.monotonic()
    with StopFlag() as stop:
        while not stop():
            try:
                with stop.interrupting():  # what is remembered is whole wherever that happens
                    changes = [watch.look() for watch in live]
            except Stopped:
                break
            if any(changes):
                quiet_since = time.monotonic()
            live = [watch for watch in watches if not watch.is_over]
            if not live:
                if any(watch.failed for watch in watches):
                    return EXIT_FAILED
                note("Nothing is wanted and nothing is left: done")
                return EXIT_OK
            is_quiet = time.monotonic() - quiet_since > FAST_FOR
            stop.wait(slow if is_quiet else fast)
    note("Nobody looks after the machines from now on, and they go on. To look after them again, "
         "or to end them:")  # fmt: skip
    for watch in live:
        for verb in ("monitor", "down"):
            note(f"  {command_of(watch.chosen, verb)}")
    return stop.exit_code


class _Watch:
    """One fleet that is looked at again and again; only lines that are new are printed."""

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen
        self.is_over = self.failed = False
        self._fleet: Fleet | None = None
        self._before: set[str] = set()
        self._lines: set[str] = set()
        self._open()  # a key or a library that is missing is told before the first look

    def look(self) -> bool:
        """One tick; did anything change? Whatever a provider does, the next look comes.

        What is remembered and cannot be used ends the watch: somebody must see to that.
        """
        self._before, self._lines = self._lines, set()
        try:
            with messages_to(note, {FleetNews: self._say}):
                done = reconcile(self._open())
        except FleetFileError as error:
            note(f"error: {error}")
            self.is_over = self.failed = True
            return False
        except FleetBusy as busy:
            self._say(f"{busy}; it is left to that one")
            return False
        except Exception as error:
            sentence = user_sentence(error)
            if sentence is None:
                raise
            self._say(f"this look failed, the next one tries again: {sentence}")
            return False
        self.is_over = done.is_over
        summary = summary_text(report(done.observed, done.decision))
        print_lines([f"{time.strftime('%H:%M:%S')} {summary}"])
        return bool(done.decision.destroy or done.decision.rent)

    def _open(self) -> Fleet:
        """With the providers of now: another command may have added one.

        Else as it was: its stores know which heartbeats they have read, and what they have said.
        """
        names = providers_of(remembered(self.chosen.files))
        if self._fleet is None or tuple(self._fleet.outlook.providers) != names:
            self._fleet = open_fleet(self.chosen, names)
        return self._fleet

    def _say(self, line: str) -> None:
        self._lines.add(line)
        if line not in self._before:
            print_lines([f"{time.strftime('%H:%M:%S')} {line}"])
