"""Sending beside the work: one thing at a time, in a thread of its own, the newest one wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from zebfast.system.retry import Backoff, Pause

T = TypeVar("T")


class BackgroundSender(Generic[T]):
    """The thread. ``submit`` returns at once; ``finish`` waits; ``close`` ends it.

    Args:
        send: sends one thing, in the thread.
        failed: told of what could not be sent and why; should it be sent again? What it raises
            ends the thread and becomes ``error``: nothing more will be sent.
        sent: told of what was sent, in the thread.
        retry: pauses after failures.
        rest: least seconds between two sendings.
        combine: what to send of an older thing that still waits and a newer one.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        send: Callable[[T], object],
        *,
        name: str,
        failed: Callable[[T, Exception], bool],
        sent: Callable[[T], object] = lambda thing: None,
        retry: Pause,
        rest: float = 0.0,
        combine: Callable[[T, T], T] = lambda _older, newer: newer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send, self._failed, self._sent = send, failed, sent
        self._rest, self._combine, self._clock = rest, combine, clock
        self._backoff = Backoff(retry)
        self._change = threading.Condition()
        self._waiting: T | None = None
        self._sending: T | None = None
        self._not_before = -float("inf")
        self._hurry = self._closing = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, thing: T) -> None:
        """Send this as soon as may be, combined with what still waits."""
        with self._change:
            self._put(thing)

    def pending(self) -> list[T]:
        """What waits or is being sent."""
        with self._change:
            return [each for each in (self._waiting, self._sending) if each is not None]

    def finish(self, seconds: float) -> bool:
        """Send what waits without more ado; False if that took longer than ``seconds``.

        Nothing is waited for once the thread has ended with an error.
        """
        with self._change:
            self._hurry, self._not_before = True, -float("inf")
            self._change.notify_all()
            return self._change.wait_for(self._is_idle, seconds)

    def close(self, seconds: float) -> None:
        """End the thread once its present call is over; what waits is dropped."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(seconds)

    def _is_idle(self) -> bool:
        nothing = self._waiting is None and self._sending is None
        return nothing or self.error is not None

    def _put(self, thing: T, *, is_older: bool = False) -> None:
        if self._waiting is not None:
            thing = self._combine(*((thing, self._waiting) if is_older else (self._waiting, thing)))
        self._waiting = thing
        self._change.notify_all()

    # --- in the thread ---

    def _run(self) -> None:
        try:
            while (thing := self._next()) is not None:
                self._attempt(thing)
        except Exception as fatal:
            with self._change:
                self.error, self._sending = fatal, None
                self._change.notify_all()

    def _attempt(self, thing: T) -> None:
        try:
            self._send(thing)
        except Exception as error:
            is_wanted = self._failed(thing, error)
            pause = self._backoff.failed(error)
            with self._change:
                self._sending, self._not_before = None, self._clock() + pause
                if is_wanted:
                    self._put(thing, is_older=True)
                self._change.notify_all()
        else:
            self._sent(thing)
            self._backoff.succeeded()
            with self._change:
                self._sending = None
                self._not_before = self._clock() + (0.0 if self._hurry else self._rest)
                self._change.notify_all()

    def _next(self) -> T | None:
        """Wait for something to send and the time to do it; None when closing."""
        with self._change:
            while not self._closing:
                wait = self._not_before - self._clock()
                if self._waiting is not None and wait <= 0:
                    self._sending, self._waiting = self._waiting, None
                    return self._sending
                self._change.wait(wait if self._waiting is not None else None)
            return None
