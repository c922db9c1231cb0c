"""When what others tell last changed, by the clock of who looks: theirs may say anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: By which the clocks of two machines may differ without a word.
SKEW_SECONDS = 300.0


@dataclass(frozen=True)
class Mark:
    """A value that changes with progress; ``unix`` when it did, by the clock of who wrote it."""

    value: str
    unix: float | None = None


@dataclass(frozen=True)
class Seen:
    """A mark as who looks remembers it: at rest since ``since``, by the own clock."""

    value: str
    since: float


def remember(
    before: Mapping[str, Seen], marks: Mapping[str, Mark], *, looked: float | None, now: float
) -> dict[str, Seen]:
    """What to remember of this look.

    A mark that has changed did so after the last look (``looked``) and not in the future: between
    the two, the other clock is believed. One that was not seen this time stays as it was.
    """
    seen = dict(before)
    for name, mark in marks.items():
        old = before.get(name)
        if old is not None and old.value == mark.value:
            seen[name] = Seen(old.value, min(old.since, now))
            continue
        earliest = looked if old is not None and looked is not None else 0.0
        since = now if mark.unix is None else min(now, max(earliest, mark.unix))
        seen[name] = Seen(mark.value, since)
    return seen
