"""Progress of long work, drawn on a terminal only, and results as text.

rich is imported where something is drawn.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zebfast.arena.stats import RANDOM_BIDS
from zebfast.cli.messages import note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn
    from rich.table import Table

    from zebfast.arena.match import MatchProgress, ProgressCallback
    from zebfast.arena.matrix import Matrix, MatrixProgress, Pair
    from zebfast.arena.stats import MatchResult
    from zebfast.worker.loop import BatchProgress


@contextmanager
def batch_progress() -> Iterator[Callable[[BatchProgress], None] | None]:
    """A bar for the games of the batch under way, with rate and ETA; None when not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TimeRemainingColumn

    columns = ("batch {task.fields[batch]}", BarColumn(), MofNCompleteColumn(), "games")
    with bar_of(*columns, "{task.fields[rate]}", TimeRemainingColumn()) as bar:
        number = bar.add_task("games", total=None, batch=1, rate="")
        task: Task = bar.tasks[0]
        current = 0

        def update(at: BatchProgress) -> None:
            nonlocal current
            if at.batch != current:
                current = at.batch
                bar.reset(number, total=at.of_games, batch=at.batch)
            rate = f"{task.speed:.1f} games/s" if task.speed else ""
            bar.update(number, completed=at.games, rate=rate)

        yield update


def bar_of(*columns: str | ProgressColumn) -> Progress:
    """A bar of these columns on stderr that is gone when its context ends."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    parts = (TextColumn(each) if isinstance(each, str) else each for each in columns)
    return Progress(*parts, console=Console(stderr=True), transient=True)


# --- A match as text: one figure a row, and what a reader must know about the figures.

FOOTNOTE = (
    "By points: more than 21 of 42; a tie is not a win. By contract: the side that declared wins",
    "if it takes at least its bid, the other side if not. Every deal is played both ways.",
)
RANDOM_BIDS_NOTE = (
    "Declarations and bids are random, so most contracts are set whoever plays: the contract rate",
    "mostly measures defence.",
)


def footnotes(bid: int | str | None) -> list[str]:
    """Lines under a result; random bids need a word of their own."""
    return [*FOOTNOTE, *(RANDOM_BIDS_NOTE if bid in (None, RANDOM_BIDS) else ())]


def rate_text(games_per_s: float) -> str:
    """A speed in games a second, with a digit behind the point where it is slow."""
    return f"{games_per_s:,.{1 if games_per_s < 100 else 0}f}"


def rich_table(result: MatchResult) -> Table:
    """For a terminal: fits any width and any length of player spec."""
    from rich.markup import escape
    from rich.table import Table

    caption = " ".join(footnotes(result.bid))
    table = Table(caption=caption, caption_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, text in _rows(result):
        table.add_row(heading, escape(text))
    return table


def plain_table(result: MatchResult) -> str:
    """For a file or a pipe."""
    rows = _rows(result)
    width = max(len(heading) for heading, _ in rows)
    lines = [f"{heading:<{width}}  {text}" for heading, text in rows]
    return "\n".join([*lines, *footnotes(result.bid)])


def _rows(result: MatchResult) -> list[tuple[str, str]]:
    """(heading, text) of each figure of a result, as both tables show them."""
    interval = "{:.1%} (95 % interval {:.1%} to {:.1%})"
    points = interval.format(result.win_rate, result.win_rate_low, result.win_rate_high)
    contracts = interval.format(
        result.contract_rate, result.contract_rate_low, result.contract_rate_high
    )
    return [
        ("player", result.player_a),
        ("against", result.player_b),
        ("games", f"{result.games:,}"),
        ("won by points", points),
        ("won, tied, lost", f"{result.wins:,}, {result.ties:,}, {result.losses:,}"),
        ("margin", f"{result.mean_margin:+.2f} ± {result.margin_se:.2f} points a game"),
        ("won by contract", contracts),
        ("bids", "random, 30 to 42" if result.bid == RANDOM_BIDS else str(result.bid)),
        ("made", f"{result.made_rate:.1%} of the {result.declared:,} contracts it declared"),
        ("set", f"{result.set_rate:.1%} of the {result.defended:,} it defended against"),
        ("made by both", f"{result.made_rate_all:.1%} of all contracts"),
        ("games/s", rate_text(result.games_per_s)),
    ]


# --- Progress of matches and matrices on stderr: a bar on a terminal, lines elsewhere.


@contextmanager
def match_progress(n_games: int) -> Iterator[ProgressCallback | None]:
    """A bar while a match runs; yields None unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        task = bar.add_task("", total=n_games, rate="0", won=0.0)
        yield lambda seen: bar.update(task, completed=seen.done, **_figures(seen))


class MatrixReporter:
    """What is said while a matrix runs: `progress` after every chunk, `finished` after a pairing.

    A context that draws one bar over all pairings on a terminal; elsewhere a line for each pairing.
    """

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._bar = _bar("{task.description}") if sys.stderr.isatty() else None

    def __enter__(self) -> MatrixReporter:
        if self._bar is not None:
            config = self._matrix.config
            done = len(self._matrix.points) * config.games_per_pairing
            total = len(config.pairs) * config.games_per_pairing
            self._bar.start()
            self._task = self._bar.add_task("", total=total, completed=done, rate="0", won=0.0)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def progress(self, at: MatrixProgress) -> None:
        """Move the bar."""
        if self._bar is not None:
            pairing, figures = f"pairing {at.finished_pairs + 1} of {at.pairs}", _figures(at.match)
            self._bar.update(self._task, description=pairing, completed=at.done, **figures)

    def finished(self, pair: Pair) -> None:
        """Say what a pairing came to, where there is no bar."""
        if self._bar is None:
            result, config = self._matrix.result(*pair), self._matrix.config
            note(
                f"[{len(self._matrix.points)}/{len(config.pairs)}] {result.player_a} vs "
                f"{result.player_b}: {result.win_rate:.1%} won by points, "
                f"{result.contract_rate:.1%} by contract, {result.games:,} games, "
                f"{rate_text(result.games_per_s)} games/s"
            )


def _figures(seen: MatchProgress) -> dict[str, Any]:
    return {"rate": rate_text(seen.games_per_s), "won": seen.wins / seen.done}


def _bar(*leading: str) -> Progress:
    from rich.progress import BarColumn, TimeRemainingColumn

    return bar_of(
        *leading,
        BarColumn(bar_width=20),
        "{task.completed:,.0f} of {task.total:,.0f} games",
        "{task.fields[rate]}/s  {task.fields[won]:.1%} won",
        TimeRemainingColumn(),
    )


# --- Tables of every command: plain columns, a dash for what nobody knows.

NOTHING = "–"
_PIPE_WIDTH = 160


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough to keep lines whole."""
    from rich.console import Console

    told = sys.stdout.isatty() or "COLUMNS" in os.environ  # as `watch` does
    return Console(highlight=False, width=None if told else _PIPE_WIDTH)


def new_table(*headings: str) -> Table:
    """A table of these columns, without lines."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def add_row(table: Table, *cells: object) -> None:
    """Numbers with thousands' commas, and a dash for what nobody knows."""
    from rich.markup import escape

    texts = (f"{c:,}" if isinstance(c, int) else str(c) if c else NOTHING for c in cells)
    table.add_row(*(escape(text) for text in texts))
