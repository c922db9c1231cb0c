"""Fleets as text: what there is, and what there could be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.markup import escape

from zebfast.cli.tables import add_row, console, new_table
from zebfast.experiment.check import age

if TYPE_CHECKING:
    from zebfast.fleet.model import Spec
    from zebfast.fleet.quote import Quote
    from zebfast.fleet.report import Report


def print_report(report: Report) -> None:
    """The machines of a fleet and its totals."""
    out = console()
    out.print(f"[bold]{escape(report.fleet)}[/]: {escape(state_text(report))}", soft_wrap=True)
    if report.rows:
        table = new_table("machine", "from", "GPU", "state", "$/h", "games/s", "age", "ssh", "how")
        for row in report.rows:
            add_row(table, row.label, row.provider, row.gpu, row.state, _dollars(row.dph),
                    _rate(row.games_per_s), age(row.age), row.ssh, row.health)  # fmt: skip
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
    parts = [cost_text(report.dph, report.games_per_s, report.dollars_per_million_games)]
    spent = f"${report.spent:.2f} spent"
    if report.budget_left is not None:
        spent += f", ${report.budget_left:.2f} of ${report.budget_dollars:.2f} left"
    if report.hours_left is not None:
        spent += f", {age(3600 * report.hours_left)} left"
    parts.append(spent)
    parts += [f"{name} has ${credit:.2f} of credit" for name, credit in report.credit.items()]
    return "; ".join(parts)


def summary_text(report: Report) -> str:
    """One line for each tick of a monitor."""
    return f"{report.fleet}: {state_text(report)}, {totals_text(report)}"


def cost_text(dph: float, games_per_s: float, per_million: float | None) -> str:
    """Dollars an hour and a day, games a second, dollars for a million games."""
    text = f"${dph:.3f}/h = ${24 * dph:.2f} a day, {games_per_s:.1f} games/s"
    return text + ("" if per_million is None else f", ${per_million:.2f} for a million games")


def print_quote(quote: Quote, spec: Spec) -> None:
    """The offers that would be taken, with their total."""
    out = console()
    if quote.offers:
        table = new_table("would rent", "from", "offer", "$/h", "$ a day", "games/s expected",
                          "$ a million games", "reliability", "Mbit/s up/down")  # fmt: skip
        for offer in quote.offers:
            speed = quote.speeds[offer.gpu]
            per_million = None if not speed else offer.dph / (speed * 3600) * 1e6
            kind = ", may be outbid" if offer.interruptible else ""
            add_row(table, f"{offer.n_gpus}x {offer.gpu}{kind}", offer.provider, offer.id,
                    _dollars(offer.dph), f"{24 * offer.dph:.2f}", speed and f"{speed:.1f}",
                    per_million and f"{per_million:.2f}",
                    offer.reliability and f"{offer.reliability:.1%}",
                    _network(offer.inet_up, offer.inet_down))  # fmt: skip
        out.print(table)
        total = cost_text(quote.dph, quote.games_per_s, quote.dollars_per_million_games)
        out.print("(expected: as seen here before, else of the large network)", soft_wrap=True)
        out.print(f"{machines_text(len(quote.offers))}: {total}", soft_wrap=True)
        out.print(escape(_limits(spec)), soft_wrap=True)
    for problem in quote.problems:
        out.print(escape(problem), soft_wrap=True)


def _limits(spec: Spec) -> str:
    """What ends the spending."""
    limits = []
    if spec.budget_dollars is not None:
        limits.append(f"${spec.budget_dollars:.2f}")
    if spec.budget_hours is not None:
        limits.append(f"{spec.budget_hours:g} hours")
    if limits:
        return f"Taken down after {' or '.join(limits)}, by whichever fleet command looks then."
    return "No end is set (--budget, --hours): they go on until zebfast fleet down."


def machines_text(n: int) -> str:
    """``1 machine``, ``2 machines``."""
    return f"{n} machine" + ("" if n == 1 else "s")


def print_lines(lines: Iterable[str]) -> None:
    """Lines of data, whatever their length."""
    out = console()
    for line in lines:
        out.print(escape(line), soft_wrap=True)


def _dollars(dph: float | None) -> str | None:
    return None if dph is None else f"{dph:.3f}"


def _rate(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:.2f}"


def _network(up: float | None, down: float | None) -> str | None:
    if up is None and down is None:
        return None
    return "/".join("?" if value is None else f"{value:.0f}" for value in (up, down))
