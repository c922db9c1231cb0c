"""`zebfast solve FILE`: exact values of recorded positions."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import click
from rich.progress import BarColumn, TimeRemainingColumn

from zebfast.arena.io.json_lines import RecordingError
from zebfast.arena.io.positions import SolvedPosition, read_positions, solve_positions
from zebfast.cli.console import bar_of
from zebfast.cli.options import threads_option
from zebfast.core.solver_pool import SolverPool
from zebfast.system.machine import usable_cores, usable_threads


@click.command(
    name="solve",
    short_help="Print exact values of positions.",
    help="""Solve positions with all hands open (JSON lines, plain or gzipped; - reads stdin).

    A line holds decl (0..9), remaining (the domino ids in each of the four hands), leader (the
    seat that leads the trick on the table, or the next one) and trick (the domino ids on the
    table, in order from the leader); further keys are ignored. For each a line is printed: v, the
    points still to come of seats 0 and 2 minus those of seats 1 and 3 under best play by all four,
    and q, the same after each legal domino. A line may also be a whole deal: decl, and a list
    "positions" of such objects; each of them gets a line of its own.

    \b
    Example:
      echo '{"decl": 5, "remaining": [[20], [19], [25], [27]], "leader": 1, "trick": []}' |
        zebfast solve -""",
)
@click.argument("file", type=click.File("rb"), metavar="FILE.jsonl[.gz]")
@threads_option("Positions solved at a time.  [default: one for each core]")
@click.option(
    "--check",
    is_flag=True,
    help="Print no values, but compare them with the v and q in FILE; exit 1 at a difference.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what --check found as JSON.")
def solve(file: BinaryIO, threads: int | None, check: bool, as_json: bool) -> None:
    """Solve until the end or the first bad line. Exit codes: 0 ok, 1 bad or different, 2 usage."""
    name = str(getattr(file, "name", "<stdin>"))
    pool = SolverPool(usable_threads(threads) or usable_cores())
    quiet = not sys.stderr.isatty() or (sys.stdout.isatty() and not check)
    try:
        with pool:
            solved = solve_positions(read_positions(file), pool=pool)
            if not quiet:
                solved = _with_progress(solved, file)
            if check:
                _check(solved, name, as_json)
            else:
                for one in solved:
                    click.echo(json.dumps({"v": one.v, "q": one.q}, separators=(",", ":")))
    except RecordingError as error:
        raise click.ClickException(f"{name}: {error}") from error


def _check(solved: Iterable[SolvedPosition], name: str, as_json: bool) -> None:
    """Compare until the first difference, print the outcome, and exit 1 if there is one."""
    count, difference = 0, None
    for one in solved:
        difference = one.difference
        if difference is not None:
            break
        count += 1
    if count == 0 and difference is None:
        raise click.ClickException(f"{name} holds no positions; expected one JSON object a line.")
    if as_json:
        found = {"file": name, "positions": count, "equal": difference is None}
        click.echo(json.dumps({**found, "difference": difference}))
    elif difference is None:
        click.echo(f"solved {count:,} positions: all equal")
    else:
        click.echo(f"{count:,} positions equal, then a difference: {difference}")
    if difference is not None:
        raise click.exceptions.Exit(1)


def _with_progress(solved: Iterable[SolvedPosition], file: BinaryIO) -> Iterator[SolvedPosition]:
    """Pass the positions through; number, rate and time left are drawn on stderr."""
    text, start = "{task.fields[done]:,} positions, {task.fields[rate]:,.0f}/s", time.monotonic()
    with bar_of(text, BarColumn(), TimeRemainingColumn()) as bar:
        # How far it is can be told from the bytes that were read, where it is a file.
        size = os.fstat(file.fileno()).st_size if file.seekable() else None
        task = bar.add_task("", total=size or None, done=0, rate=0.0)
        for done, one in enumerate(solved, start=1):
            yield one
            if done % 64 == 0:
                rate = done / (time.monotonic() - start)
                offset = file.tell() if size else 0
                bar.update(task, completed=offset, done=done, rate=rate)
