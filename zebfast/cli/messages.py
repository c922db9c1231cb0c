"""Where a program's messages go: what its rooms log, and the words of its events."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import click

from zebfast.cli.run import hidden, to_nowhere
from zebfast.system.events import Event, console_text, subscribed

Write = Callable[[str], object]
_ROOT = "zebfast"  # of the loggers of all modules; those of other packages are left alone
_NETWORKS = f"{_ROOT}.net."


def note(line: str) -> None:
    """Messages go to stderr, results to stdout. Where stderr takes nothing, nothing is said."""
    with suppress(OSError):
        click.echo(hidden(line), err=True)


def account(line: str) -> None:
    """A line of what a long-running program does, which no terminal and no full disk may end.

    Once nobody can read any more, this process is told to stop as by SIGTERM, so that all is saved.
    """
    try:
        click.echo(hidden(line))
    except OSError as error:
        if isinstance(error, BrokenPipeError) or sys.stdout.isatty():
            to_nowhere(sys.stdout)
            os.kill(os.getpid(), signal.SIGTERM)


class _Writer(logging.Handler):
    """Hands on the words of each message, and of each event while it is the handler in use."""

    def __init__(
        self, write: Write, elsewhere: Mapping[type[Event], Write], networks: Write
    ) -> None:
        super().__init__()
        self._write, self._elsewhere, self._networks = write, elsewhere, networks

    def emit(self, record: logging.LogRecord) -> None:
        write = self._networks if record.name.startswith(_NETWORKS) else self._write
        write(hidden(record.getMessage()))

    def take(self, event: Event) -> None:
        text = console_text(event)
        if text is not None and self in logging.getLogger(_ROOT).handlers:
            self._elsewhere.get(type(event), self._write)(text)


@contextmanager
def messages_to(
    write: Write,
    elsewhere: Mapping[type[Event], Write] | None = None,
    *,
    networks: Write = note,
) -> Iterator[None]:
    """Hand messages and the words of events to ``write`` while the context lasts.

    From whatever thread they come. One within another takes its place. What ``write`` raises, as
    when nobody reads any more, is raised where the message was given. ``elsewhere``: who takes the
    words of events of these kinds instead; ``networks``: who takes what networks say of the device
    that they run on, which is no part of a program's account.
    """
    logger, writer = logging.getLogger(_ROOT), _Writer(write, elsewhere or {}, networks)
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers[:], logger.propagate = [writer], False
    logger.setLevel(logging.INFO)
    try:
        with subscribed(writer.take):
            yield
    finally:
        logger.handlers[:], level, logger.propagate = before
        logger.setLevel(level)
