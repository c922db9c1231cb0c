"""`zebfast fleet status EXPERIMENT`: each rented machine, what it costs, how it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import click
from rich.markup import escape

from zebfast.cli.console import add_row, console, new_table
from zebfast.cli.fleet.context import (
    Chosen,
    fleets_options,
    known_fleets,
    open_outlook,
    strange_state,
)
from zebfast.cli.messages import note
from zebfast.cli.options import Whole
from zebfast.cli.run import EXIT_FAILED, hidden
from zebfast.experiment.commands import fleet_command
from zebfast.experiment.status.liveness import age
from zebfast.fleet.model import Machine, Offer, Spec
from zebfast.fleet.observe import providers_of
from zebfast.fleet.provider import AnyProvider, ProviderError
from zebfast.fleet.reconcile import plan, remembered
from zebfast.fleet.rent import Estimate, dollars_per_million
from zebfast.fleet.report import Report, report
from zebfast.fleet.state_file import read_state

# --- Fleets as text: what there is, and what there could be.


def print_report(report: Report) -> None:
    """The machines of a fleet and its totals."""
    out = console()
    out.print(f"[bold]{escape(report.fleet)}[/]: {escape(state_text(report))}", soft_wrap=True)
    if report.rows:
        table = new_table("machine", "from", "GPU", "state", "$/h", "games/s", "age", "ssh", "how")
        for row in report.rows:
            add_row(table, row.label, row.provider, row.gpu, row.state,
                    _fixed(row.price_per_hour, 3), _fixed(row.games_per_s, 2), age(row.age),
                    row.ssh, row.health)  # fmt: skip
        out.print(table)
    out.print(escape(totals_text(report)), soft_wrap=True)
    for line in report.notes:
        out.print(f"  {escape(line)}", soft_wrap=True)


def state_text(report: Report) -> str:
    """``2 of 2 play``, and who does not answer."""
    text = f"{report.playing} of {report.wanted} play"
    if not report.wanted:
        text = "nothing is wanted" + (f", {len(report.rows)} still there" if report.rows else "")
    silent = ", ".join(report.silent)
    return text + (f"; no answer from {silent}: its machines are not shown" if silent else "")


def totals_text(report: Report) -> str:
    """What it costs and brings now, was spent so far, is left."""
    parts = [cost_text(report.price_per_hour, report.games_per_s, report.dollars_per_million_games)]
    spent = f"${report.spent:.2f} spent"
    if report.budget_left is not None:
        spent += f", ${report.budget_left:.2f} of ${report.budget_dollars:.2f} left"
    if report.node_hours_left is not None:
        spent += f", {report.node_hours:.1f} of {report.budget_node_hours:g} node hours used"
    if report.hours_left is not None:
        spent += f", {age(3600 * report.hours_left)} left"
    parts.append(spent)
    parts += [f"{name} has ${credit:.2f} of credit" for name, credit in report.credit.items()]
    return "; ".join(parts)


def summary_text(report: Report) -> str:
    """One line for each tick of a monitor."""
    return f"{report.fleet}: {state_text(report)}, {totals_text(report)}"


def cost_text(price_per_hour: float, games_per_s: float, per_million: float | None) -> str:
    """Dollars an hour and a day, games a second, dollars for a million games."""
    text = f"${price_per_hour:.3f}/h = ${24 * price_per_hour:.2f} a day, {games_per_s:.1f} games/s"
    return text + ("" if per_million is None else f", ${per_million:.2f} for a million games")


def print_estimate(estimate: Estimate, spec: Spec) -> None:
    """The offers that would be taken, with their total."""
    out = console()
    if estimate.offers:
        table = new_table("would rent", "from", "offer", "$/h", "$ a day", "games/s expected",
                          "$ a million games", "reliability", "Mbit/s up/down")  # fmt: skip
        for offer, n in _counted(estimate.offers):
            speed = estimate.speeds[offer.gpu]
            per_million = dollars_per_million(offer.price_per_hour, speed or 0.0)
            kind = ", may be outbid" if offer.interruptible else ""
            add_row(table, f"{n * offer.n_gpus}x {offer.gpu}{kind}", offer.provider, offer.id,
                    _fixed(offer.price_per_hour, 3), _fixed(24 * offer.price_per_hour, 2),
                    _fixed(speed, 1), _fixed(per_million, 2),
                    offer.reliability and f"{offer.reliability:.1%}",
                    _network(offer.inet_up, offer.inet_down))  # fmt: skip
        out.print(table)
        total = cost_text(
            estimate.price_per_hour, estimate.games_per_s, estimate.dollars_per_million_games
        )
        out.print("(expected: as seen here before, else of the large network)", soft_wrap=True)
        out.print(f"{machines_text(len(estimate.offers))}: {total}", soft_wrap=True)
        out.print(escape(_limits(spec)), soft_wrap=True)
    for problem in estimate.problems:
        out.print(escape(problem), soft_wrap=True)


def _counted(offers: Iterable[Offer]) -> Iterator[tuple[Offer, int]]:
    """Each with how often it is there: those of a cluster are all alike."""
    for offer, group in groupby(offers):
        n = len(list(group))
        yield from [(offer, n)] if offer.provider == "slurm" else [(offer, 1)] * n


def _limits(spec: Spec) -> str:
    """What ends the spending."""
    limits = []
    if spec.budget_dollars is not None:
        limits.append(f"${spec.budget_dollars:.2f}")
    if spec.budget_hours is not None:
        limits.append(f"{spec.budget_hours:g} hours")
    if spec.budget_node_hours is not None:
        limits.append(f"{spec.budget_node_hours:g} node hours")
    if limits:
        return f"Taken down after {' or '.join(limits)}, by whichever fleet command looks then."
    return "No end is set (--budget, --hours, --node-hours): they go on until zebfast fleet down."


def machines_text(n: int) -> str:
    """``1 machine``, ``2 machines``."""
    return f"{n} machine" + ("" if n == 1 else "s")


def print_lines(lines: Iterable[str]) -> None:
    """Lines of data, whatever their length."""
    out = console()
    for line in lines:
        out.print(escape(hidden(line)), soft_wrap=True)


def _fixed(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _network(up: float | None, down: float | None) -> str | None:
    if up is None and down is None:
        return None
    return "/".join("?" if value is None else f"{value:.0f}" for value in (up, down))


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
@fleets_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as a JSON list of fleets.")
def status(listed: Sequence[Chosen], as_json: bool) -> None:
    """Look, print. Exit codes: 0, 1 unusable state, 2 usage."""
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
    seen = plan(state, outlook, now=time.time())
    found = report(seen.observed, seen.decision)
    if known is not None:
        return found
    if not found.rows:
        return None
    note(f"Nobody looks after {chosen.files.fleet}: zebfast fleet down ends its machines")
    return found


# --- `zebfast fleet logs EXPERIMENT [MACHINE]`: what rented machines have printed.


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
@fleets_options
@click.argument("machine", required=False)
@click.option("--lines", type=Whole(1, 100_000), default=40, show_default=True,
              help="Lines of each machine.")  # fmt: skip
def logs(listed: Sequence[Chosen], machine: str | None, lines: int) -> None:
    """Ask, print. Exit codes: 0, 1 a log could not be had, 2 no such machine."""
    there: list[tuple[Machine, AnyProvider]] = []
    for chosen in known_fleets(listed):
        outlook = open_outlook(chosen, providers_of(remembered(chosen.files)))
        for provider in outlook.providers.values():
            there += [(each, provider) for each in provider.machines(chosen.files.fleet)]
    found = [pair for pair in there if machine is None or _is_meant(pair[0], machine)]
    if machine is not None and not found:
        known = ", ".join(each.label for each, _ in there) or "none"
        raise click.UsageError(f"There is no machine {machine!r}; those there are: {known}")
    had = [_print(each, provider, lines, alone=machine is not None) for each, provider in found]
    if not found:
        note("There are no machines")
    if not all(had):
        raise click.exceptions.Exit(EXIT_FAILED)


def _is_meant(machine: Machine, name: str) -> bool:
    return name in (machine.label, machine.label.rsplit("/", 1)[-1], machine.id, machine.key)


def _print(machine: Machine, provider: AnyProvider, lines: int, *, alone: bool) -> bool:
    if not alone:
        print_lines([f"==> {machine.label} ({machine.provider} {machine.id}) <=="])
    try:
        print_lines(provider.logs(machine.id, lines=lines).splitlines())
    except ProviderError as error:
        note(f"{machine.label}: {error}")
        return False
    return True
