"""Progress of long work, drawn on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from zebfast.worker.loop import BatchProgress


@contextmanager
def batch_progress(stream: TextIO) -> Iterator[Callable[[BatchProgress], None] | None]:
    """A bar for the games of the batch under way, with rate and ETA; None when not a terminal."""
    if not stream.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Games a second over the last steps."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} games/s" if task.speed else "")

    bar = Progress(
        TextColumn("batch {task.fields[batch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("games"),
        Rate(),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
    )
    with bar:
        task = bar.add_task("games", total=None, batch=1)
        current = 0

        def update(at: BatchProgress) -> None:
            nonlocal current
            if at.batch != current:
                current = at.batch
                bar.reset(task, total=at.of_games, batch=at.batch)
            bar.update(task, completed=at.games)

        yield update
