"""What a program in this process says, line by line, and whole runs of worker and learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zebfast.cli.messages import messages_to


@contextmanager
def listening(say: Callable[[str], object]) -> Iterator[None]:
    """Have every line of messages and events said to ``say`` while this lasts."""

    def each(text: str) -> None:
        for line in text.split("\n"):
            say(line)

    with messages_to(each):
        yield
