"""Progress of matches and matrices on stderr: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from zebfast.arena.match import ProgressCallback
from zebfast.arena.matrix import Matrix, MatrixProgress, Pair
from zebfast.cli.match_text import rate_text


@contextmanager
def match_progress(n_games: int) -> Iterator[ProgressCallback | None]:
    """A bar while a match runs; yields None unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        task = bar.add_task("", total=n_games, rate="0", won=0.0)
        yield lambda seen: bar.update(
            task,
            completed=seen.done,
            rate=rate_text(seen.games_per_s),
            won=seen.wins / seen.done,
        )


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
            self._bar.update(
                self._task,
                description=f"pairing {at.finished_pairs + 1} of {at.pairs}",
                completed=at.done,
                rate=rate_text(at.match.games_per_s),
                won=at.match.wins / at.match.done,
            )

    def finished(self, pair: Pair) -> None:
        """Say what a pairing came to, where there is no bar."""
        if self._bar is None:
            result, config = self._matrix.result(*pair), self._matrix.config
            click.echo(
                f"[{len(self._matrix.points)}/{len(config.pairs)}] {result.player_a} vs "
                f"{result.player_b}: {result.win_rate:.1%} won by points, "
                f"{result.contract_rate:.1%} by contract, {result.games:,} games, "
                f"{rate_text(result.games_per_s)} games/s",
                err=True,
            )


def _bar(*leading: str) -> Progress:
    return Progress(
        *(TextColumn(text) for text in leading),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} games"),
        TextColumn("{task.fields[rate]}/s  {task.fields[won]:.1%} won"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
