"""What the reader's thread tells the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from zebfast.selfplay.examples import Examples


@dataclass(frozen=True)
class FileRead:
    """One checked file."""

    name: str
    examples: Examples


@dataclass(frozen=True)
class Said:
    """A line for the log about something that went wrong, but not for good."""

    line: str


@dataclass(frozen=True)
class LookDone:
    """A look at the store has ended; ``listed`` is None when it failed.

    ``number`` is that of the newest request that it answers.
    """

    number: int
    listed: list[str] | None


@dataclass(frozen=True)
class Failed:
    """The thread has ended with this."""

    error: Exception


Event: TypeAlias = FileRead | Said | LookDone | Failed
