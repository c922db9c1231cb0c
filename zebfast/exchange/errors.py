"""What can go wrong between a run and the place of its files, and waiting until it no longer does.

A fault of a disk that passes (``system.files.is_passing``) is here what a fault of the Hub that
passes is: a TransientError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from zebfast.system.events import Retrying, emit
from zebfast.system.files import fault_text, is_passing
from zebfast.system.redaction import redacted
from zebfast.system.retry import constant, doubling, retrying
from zebfast.system.signals import StopFlag, Stopped

T = TypeVar("T")
_MAX_PAUSE_SECONDS = 60.0
_LAST_PAUSE_SECONDS = 0.5
_ATTEMPTS, _MOMENT = 4, 0.05


class ExchangeError(RuntimeError):
    """One sentence: what is wrong with what was found, what was expected, what to do."""


class TransientError(ExchangeError):
    """The same call may well succeed later: keep what is staged and try again.

    ``retry_after``: seconds that the other side asked for, where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unusable(ExchangeError):
    """A file is there and nothing that can be used: whoever has an older one goes on with it."""


class NamespaceBusy(ExchangeError):
    """Another learner holds this namespace."""


def brief(error: BaseException) -> str:
    """The first line of an error of a library, cut and without what may be a secret.

    Its kind where it says nothing.
    """
    line = (str(error).strip().splitlines() or [""])[0]
    return redacted(line)[:200] or type(error).__name__


@contextmanager
def passing_faults() -> Iterator[None]:
    """Make TransientErrors of the disk's passing faults from within, which is safe to repeat.

    A context, or a decorator of what is no generator.
    """
    try:
        yield
    except OSError as error:
        if not is_passing(error):
            raise
        raise TransientError(fault_text(error)) from error


def momentarily(action: Callable[[], T]) -> T:
    """``action()``, one call on a disk, tried a few times within a moment before that is a fault.

    So what consists of many calls gets through where now and then one of them fails.
    """
    tried = passing_faults()(action)
    return retrying(tried, on=TransientError, attempts=_ATTEMPTS, pause=constant(_MOMENT))


def until_reached(action: Callable[[], T], stop: StopFlag, *, retry_seconds: float) -> T:
    """``action()``, tried again for as long as it fails for a passing reason.

    Raises:
        Stopped: by the user, at any moment; and what else ``action`` raises.
    """

    def tried() -> T:
        with stop.interrupting(), passing_faults():
            return action()

    def wait(seconds: float) -> None:
        stop.wait(seconds)
        if stop():
            raise Stopped

    def again(error: TransientError, attempt: int, seconds: float) -> None:
        emit(Retrying(call="start", error=str(error), seconds=seconds, attempt=attempt))

    pause = doubling(retry_seconds, longest=_MAX_PAUSE_SECONDS)
    return retrying(tried, on=TransientError, pause=pause, wait=wait, again=again)


@dataclass
class Patience:
    """Has something saved, however long a passing fault of the disk lasts.

    Attributes:
        stop: ends pauses early.
        retry_seconds: the first pause; it doubles each time.
        grace: seconds for which all that is saved is still tried once the run is to end.
        is_ending: is it to?
    """

    stop: StopFlag
    retry_seconds: float
    grace: float
    is_ending: Callable[[], bool]
    _ends: float | None = None

    def __call__(self, action: Callable[[], T]) -> T:
        """``action()``, tried again. Raises TransientError at an end, and what else it raises."""

        def again(error: TransientError, attempt: int, seconds: float) -> None:
            if self.is_ending():
                now = time.monotonic()
                self._ends = now + self.grace if self._ends is None else self._ends
                if now >= self._ends:
                    raise error
            emit(Retrying(call="disk", error=str(error), seconds=seconds, attempt=attempt))

        def wait(seconds: float) -> None:
            if self.is_ending():
                time.sleep(min(seconds, _LAST_PAUSE_SECONDS))
            else:
                self.stop.wait(seconds)

        pause = doubling(self.retry_seconds, longest=_MAX_PAUSE_SECONDS)
        tried = passing_faults()(action)
        return retrying(tried, on=TransientError, pause=pause, wait=wait, again=again)
