"""What a program in this process says, line by line, and whole runs of worker and learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zebfast.cli.messages import messages_to

if TYPE_CHECKING:
    from zebfast.worker.config import WorkerConfig

Say = Callable[[str], object]


@contextmanager
def listening(say: Say) -> Iterator[None]:
    """Have every line of messages and events said to ``say`` while this lasts."""

    def each(text: str) -> None:
        for line in text.split("\n"):
            say(line)

    with messages_to(each, networks=each):
        yield


def work(config: WorkerConfig, *, say: Say = lambda line: None, **how: Any) -> int:
    """A whole run of a worker, of which every line is said."""
    from zebfast.worker import loop

    with listening(say):
        return loop.work(config, **how)
