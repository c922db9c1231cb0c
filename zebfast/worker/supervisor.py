"""Keeps one worker going: starts it again when it crashes or stands still, stops it in good order.

It knows the worker by the events that it tells and by its exit code alone, so nothing that takes a
worker down, torch and the driver of the GPU included, takes this down with it.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO

from zebfast.system.events import BatchDone, Ended, Event, EventPipe, emit
from zebfast.system.retry import Backoff, doubling
from zebfast.system.settings import A_YEAR, setting
from zebfast.system.signals import StopFlag

USAGE = 2  # a worker that ends so would end so again
_LONGEST_LINE = 1 << 16
_LOOK_SECONDS = 0.1
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SupervisorConfig:
    """How patient a supervisor is; all in seconds.

    Attributes:
        stall: a worker that has handed over nothing for so long is taken for frozen.
        longest_pause: before a restart.
        healthy: a worker that has lived so long before it crashed gets the first pause again.
    """

    stall: float = 1200.0
    grace: float = setting(
        60.0, "Seconds that a worker which was told to stop may take.", least=0, most=A_YEAR
    )
    first_pause: float = setting(
        5.0,
        "Seconds before the first restart; doubled with each, up to five minutes.",
        least=0,
        most=A_YEAR,
    )
    longest_pause: float = 300.0
    healthy: float = 600.0


@dataclass(frozen=True)
class Failure:
    """How a start of the worker ended: its last words, and what it and those before it did.

    ``batches`` were handed over by all starts together, ``restarts`` is how many came before.
    """

    error: str
    batches: int
    restarts: int


class Supervisor:
    """One worker, over all its starts.

    Args:
        command: of the start number ``restarts``, when ``batches`` were handed over before it; the
            worker tells its events to the file descriptor that is given last.
        report: told of every failure; it must return soon and raise nothing.
        worked: called after every batch, in a thread of its own; the same holds for it.
    """

    def __init__(
        self,
        command: Callable[[int, int, int], Sequence[str]],
        config: SupervisorConfig,
        *,
        report: Callable[[Failure], None],
        worked: Callable[[], None] = lambda: None,
    ) -> None:
        self._command, self._config, self._report = command, config, report
        self._worked = worked
        self.restarts = self.batches = 0

    def run(self) -> int:
        """Until the worker is done, cannot be started at all, or SIGINT or SIGTERM come.

        Returns the exit code: the worker's own, or 128 and the signal's number.
        """
        config = self._config
        backoff = Backoff(doubling(config.first_pause, longest=config.longest_pause))
        with StopFlag() as stop:
            while True:
                began = time.monotonic()
                child = _Child(partial(self._command, self.restarts, self.batches), self._worked)
                stalled = self._watch(child, stop)
                code, error = child.end()
                self.batches += child.batches
                if stop():
                    return code if code >= 0 else stop.exit_code
                if code == 0 and not stalled:
                    return 0
                if stalled:
                    error = f"no batch for {config.stall / 60:g} min, so it was stopped"
                self._report(Failure(error, self.batches, self.restarts))
                emit(Ended(program="worker", code=code, reason=error, restarts=self.restarts))
                if code == USAGE:
                    _LOG.error(f"the worker cannot be started: {error}")
                    return code
                if time.monotonic() - began >= config.healthy:
                    backoff.succeeded()
                self.restarts += 1
                pause = backoff.failed()
                _LOG.warning(f"the worker ended ({error}): restart {self.restarts} in {pause:g} s")
                stop.wait(pause)
                if stop():
                    return stop.exit_code

    def _watch(self, child: _Child, stop: StopFlag) -> bool:
        """Wait until the child has ended, by itself or by us; was it for standing still?"""
        while child.is_alive():
            if stop():
                assert stop.signal_number is not None
                child.stop(stop.signal_number, self._config.grace)
                return False
            if time.monotonic() - child.last_batch > self._config.stall:
                child.stop(signal.SIGTERM, self._config.grace)
                return True
            stop.wait(_LOOK_SECONDS)
        return False


class _Child:
    """A worker's process, with its output passed on line by line, and what it tells taken in."""

    def __init__(self, command: Callable[[int], Sequence[str]], worked: Callable[[], None]) -> None:
        self.batches, self._worked = 0, worked
        self.last_batch = time.monotonic()
        self._errors: deque[bytes] = deque(maxlen=1)
        self._events = EventPipe(self._take)
        # A group of its own: a Ctrl-C, or whoever stops our group, reaches the worker through us
        # and once; the second signal would make it leave its work behind. If we are killed, the
        # end of its input tells it (--stop-at-eof).
        try:
            self._process = subprocess.Popen(
                command(self._events.fd),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                pass_fds=(self._events.fd,),
            )
        finally:
            self._events.start()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pumps = [
            threading.Thread(target=_pump, args=pump, daemon=True)
            for pump in (
                (self._process.stdout, sys.stdout.buffer, None),
                (self._process.stderr, sys.stderr.buffer, self._see_error),
            )
        ]
        for pump in self._pumps:
            pump.start()

    def _take(self, event: Event) -> None:
        if isinstance(event, BatchDone):
            self.batches += 1
            self.last_batch = time.monotonic()
            self._worked()

    def _see_error(self, line: bytes) -> None:
        if line.strip():
            self._errors.append(line)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self, number: int, grace: float) -> None:
        """Pass a signal on; a child that is still there after ``grace`` seconds is killed."""
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)  # one that was halted can still save its work
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            # Its whole group: a frozen worker's own children must not keep its worker id.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def end(self) -> tuple[int, str]:
        """Exit code (negative for a signal) and last words of a child that has ended."""
        for pump in self._pumps:
            pump.join(2.0)  # somebody else may hold the other end
        self._events.join(2.0)
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.returncode
        if code < 0:
            return code, f"killed by {_signal_name(-code)}"
        words = self._errors[-1].decode(errors="replace").strip() if self._errors else ""
        return code, words or f"exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pump(source: IO[bytes], target: IO[bytes], see: Callable[[bytes], None] | None) -> None:
    """Pass lines on; a target that takes none any more must not hold the worker up."""
    with source:
        while line := source.readline(_LONGEST_LINE):
            if see is not None:
                see(line)
            with suppress(OSError, ValueError):
                target.write(line)
                target.flush()
