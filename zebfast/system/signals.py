"""Turns Ctrl-C, SIGTERM and SIGHUP into a flag that a loop looks at, or into an orderly exit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn

_ENDING = (signal.SIGTERM, signal.SIGHUP)
#: A supervisor looks for what has stopped it several times a second, on a machine that may be busy.
ECHO_SECONDS = 5.0


class Stopped(BaseException):
    """A stop was asked for, and what was being done is left where it was, as by Ctrl-C."""


class StopFlag:
    """A context in which the first SIGINT, SIGTERM or SIGHUP asks the run to finish and save.

    A second signal of the same kind acts as if nobody listened. Only the main thread may enter.
    A SIGHUP that is ignored, as under nohup, stays so. A signal that came before, but did not end
    the program as `exit_on_signals` has it, is heard as it is entered.

    Args:
        echo: seconds in which another SIGTERM counts as the first one again. Slurm, and systemd,
            send it to every process of a job, and what supervises one of them passes it on.
    """

    def __init__(self, *, echo: float = 0.0) -> None:
        self.signal_number: int | None = None
        self._echo, self._came = echo, 0.0
        self._previous: dict[int, Any] = {}
        self._interrupts = False

    def __enter__(self) -> StopFlag:
        for number in (signal.SIGINT, *_ENDING):
            if not _is_ignored_hangup(number):
                previous = signal.signal(number, self._handle)
                self._previous[number] = previous
                if isinstance(previous, OrderlyExit) and previous.signal_number is not None:
                    self.signal_number = previous.signal_number
        if self():
            self._restore()
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Has a stop been asked for?"""
        return self.signal_number is not None

    def wait(self, seconds: float) -> None:
        """Sleep, but not past a signal by more than a moment."""
        deadline = time.monotonic() + seconds
        while not self() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(0.1, left))

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within, a stop is heard at once, in the middle of whatever the main thread does.

        For work that may be left anywhere, as a kill would leave it: looks at far places, matches,
        solving, pauses of libraries, imports. One that came before is heard first of all.

        Raises:
            Stopped: out of the work, or before it.
        """
        try:
            self._interrupts = True
            if self():
                raise Stopped
            yield
        finally:
            self._interrupts = False

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program ended by the signal; 0 when none came."""
        return 0 if self.signal_number is None else 128 + self.signal_number

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self():  # only while an echo may come
            if time.monotonic() - self._came > self._echo:
                self._restore()
                os.kill(os.getpid(), number)
            return
        self.signal_number, self._came = number, time.monotonic()
        self._restore(but=signal.SIGTERM if self._echo and number == signal.SIGTERM else None)
        if self._interrupts:
            self._interrupts = False
            raise Stopped

    def _restore(self, *, but: int | None = None) -> None:
        for number, handler in self._previous.items():
            if number != but:
                signal.signal(number, handler)
        self._previous = {key: each for key, each in self._previous.items() if key == but}


def interrupting(should_stop: Callable[[], bool]) -> AbstractContextManager[None]:
    """The context of that name of a StopFlag; of any other question, one that does nothing."""
    return should_stop.interrupting() if isinstance(should_stop, StopFlag) else nullcontext()


def _is_ignored_hangup(number: int) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def terminate_at_end_of_input() -> None:
    """From now on, the end of standard input sends this process SIGTERM.

    A program that holds the other end of that pipe thereby takes this one with it even when it is
    killed, and on any system, which signals to process groups or the kernel's own means do not do.
    """

    def wait() -> None:
        while os.read(0, 4096):  # the descriptor itself: sys.stdin may not be locked at exit
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end of input", daemon=True).start()


class SignalExit(SystemExit):
    """The exit that a signal asks for; its code is 128 and the signal's number."""


def exit_behind(error: BaseException) -> int | None:
    """The exit code of a signal whose exception this one has taken the place of; None if there is
    no such.

    What is left as the signal's exception passes may fail at that, as torch's contexts do. Then the
    failure is what arrives, with the other as its context.
    """
    for seen in chain_of(error):
        if isinstance(seen, KeyboardInterrupt):
            return 128 + signal.SIGINT
        if isinstance(seen, SignalExit):
            return int(str(seen.code))
    return None


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception, and one after another those that it has taken the place of."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__context__


class OrderlyExit:
    """The handler that ends a program by an exception, so that contexts are closed.

    Not every exception that a handler raises arrives: what runs at that moment may swallow it, as
    ``__del__``, callbacks of C and parts of torch's import do. So it is remembered what came, and
    a StopFlag that is entered later counts as stopped.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> NoReturn:
        self.signal_number = number
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SignalExit(128 + number)


def exit_on_signals() -> OrderlyExit:
    """From now on, SIGTERM and SIGHUP end this program by SignalExit, so that contexts are closed.

    The code is 143 or 129. A SIGHUP that is ignored stays so. Ctrl-C raises KeyboardInterrupt as
    ever, where nobody has changed that. What came before the call is forgotten: another program in
    this process may have been ended by it. Returns the handler of them all.
    """
    handler = OrderlyExit()
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler or isinstance(interrupt, OrderlyExit):
        signal.signal(signal.SIGINT, handler)
    for number in _ENDING:
        if not _is_ignored_hangup(number):
            signal.signal(number, handler)
    return handler


class SignalsHeld:
    """A context in which SIGINT, SIGTERM and SIGHUP wait, except within ``released()``.

    For a beginning that must have its end: a ``try`` that is begun here, has its work within
    ``released()`` and its ``finally`` here again. Signals that waited act, the first of them alone,
    as soon as they may. Only the main thread may enter.
    """

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._came: list[int] = []

    def __enter__(self) -> SignalsHeld:
        for number in (signal.SIGINT, *_ENDING):
            if number not in self._previous and not _is_ignored_hangup(number):
                self._previous[number] = signal.signal(number, self._keep)
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._previous):  # one of those that act again may end this
            signal.signal(number, self._previous[number])
            del self._previous[number]
        came, self._came = self._came, []
        if came:
            os.kill(os.getpid(), came[0])

    @contextmanager
    def released(self) -> Iterator[None]:
        """Within, signals act as before; one that came meanwhile acts first of all."""
        try:
            self.__exit__()
            yield
        finally:
            self.__enter__()

    def _keep(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)
