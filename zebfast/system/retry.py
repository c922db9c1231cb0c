"""Trying again: how long to pause, when to give up, and saying a fault once and not at every try.

Nothing here looks at a clock: who waits, and on what, is the caller's (``time.sleep``, a stop flag
whose wait a signal ends, a test's list).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_E = TypeVar("_E", bound=Exception)

Pause = Callable[[int], float]
"""Seconds to wait after so many failures in a row."""

_MOST_DOUBLINGS = 30  # beyond that no pause is meant any more, and floats would overflow


def constant(seconds: float) -> Pause:
    """The same pause after each failure."""
    return lambda _failures: seconds


def doubling(first: float, *, longest: float = float("inf")) -> Pause:
    """``first`` seconds after the first failure, twice as long after each further one."""
    return lambda failures: min(longest, first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def jittered(step: float, *, longest: float) -> Pause:
    """Anything up to ``step`` seconds more after each failure: writers that met part again."""
    return lambda failures: random.random() * min(longest, step * failures)


def asked_pause(error: Exception) -> float:
    """Seconds that the other side asked to wait, by ``retry_after`` of the error; else 0."""
    return getattr(error, "retry_after", None) or 0.0


def retrying(
    action: Callable[[], T],
    *,
    on: type[_E] | tuple[type[_E], ...],
    pause: Pause,
    attempts: int | None = None,
    wait: Callable[[float], object] | None = None,
    again: Callable[[_E, int, float], object] = lambda error, attempt, seconds: None,
) -> T:
    """``action()``, tried again while it fails with ``on``.

    Args:
        attempts: in all, after which the last error comes through; None = without an end.
        pause: between two; longer where the error asks for that (``asked_pause``).
        wait: waits (default: ``time.sleep``); may raise to give up, as ``again`` may.
        again: told of an error that is tried again, the attempt that met it (from 1) and the
            seconds until the next.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return action()
        except on as error:
            if attempt == attempts:
                raise
            seconds = max(pause(attempt), asked_pause(error))
            again(error, attempt, seconds)
        (wait or time.sleep)(seconds)


@dataclass
class Backoff:
    """The pauses of one thing that is tried over and over, and succeeds now and then."""

    pause: Pause
    failures: int = 0

    def failed(self, error: Exception | None = None) -> float:
        """Count a failure; seconds to wait now, longer where the error asks for that."""
        self.failures += 1
        return max(self.pause(self.failures), asked_pause(error) if error is not None else 0.0)

    def succeeded(self) -> None:
        self.failures = 0


class Once:
    """Lets a sentence through when it is another than the last one: ``if once(text): say it``."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> bool:
        is_new, self._last = text != self._last, text
        return is_new

    def over(self) -> bool:
        """The fault is gone; had one been told?"""
        had, self._last = bool(self._last), ""
        return had
