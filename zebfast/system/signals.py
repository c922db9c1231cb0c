"""Turns Ctrl-C and SIGTERM into a flag that the loop looks at, or into an orderly exit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any


class StopFlag:
    """A context in which the first SIGINT or SIGTERM asks the run to finish its step and save.

    A second signal of the same kind acts as if nobody listened. Only the main thread may enter.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopFlag:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
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

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program ended by the signal; 0 when none came."""
        return 0 if self.signal_number is None else 128 + self.signal_number

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


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


def exit_on_sigterm() -> None:
    """From now on, SIGTERM ends this program by SystemExit(143), so that contexts are closed."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
