"""Sending saved states beside training: one at a time, in its own thread, the newest one wins."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from zebfast.exchange.base import Say
from zebfast.exchange.manifest import Manifest
from zebfast.exchange.mirror import Mirror

_MAX_PAUSE_SECONDS = 300.0


class MirrorThread:
    """The thread. ``submit`` returns at once; ``finish`` waits. Its faults never end the training.

    Args:
        mirror: where states go.
        keep: states that stay there.
        pause_seconds: least time between two states; above 0 for places that count commits.
        retry_seconds: pause after a failure; it doubles each time.
        say: takes the lines about failures.
    """

    def __init__(
        self, mirror: Mirror, *, keep: int, pause_seconds: float, retry_seconds: float, say: Say
    ) -> None:
        self.mirror = mirror
        self._keep, self._say = keep, say
        self._pause_seconds, self._retry_seconds = pause_seconds, retry_seconds
        self._change = threading.Condition()
        self._waiting: tuple[Path, Manifest] | None = None
        self._sending: Manifest | None = None
        self._hurry = self._closing = False
        self._not_before = 0.0
        self._failures = 0
        self._last_line = ""
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def submit(self, directory: Path, manifest: Manifest) -> None:
        """Send this state as soon as may be; one that still waits is dropped, being older."""
        with self._change:
            self._waiting = (directory, manifest)
            self._change.notify_all()

    def busy(self) -> set[str]:
        """Folders that are still needed here."""
        with self._change:
            waiting = None if self._waiting is None else self._waiting[1]
            return {manifest.folder for manifest in (waiting, self._sending) if manifest}

    def finish(self, seconds: float) -> bool:
        """Send what waits without more ado; False if that took longer than ``seconds``."""
        with self._change:
            self._hurry, self._not_before = True, 0.0
            self._change.notify_all()
            return self._change.wait_for(lambda: not self._waiting and not self._sending, seconds)

    def close(self, seconds: float) -> None:
        """End the thread once its present call is over; what waits is dropped."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(seconds)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            directory, manifest = work
            try:
                self.mirror.add(directory, manifest, keep=self._keep)
            except Exception as error:  # whatever it is, training goes on
                self._failed(work, error)
            else:
                self._done()

    def _next(self) -> tuple[Path, Manifest] | None:
        with self._change:
            while not self._closing:
                wait = self._not_before - time.monotonic()
                if self._waiting is not None and wait <= 0:
                    work, self._waiting = self._waiting, None
                    self._sending = work[1]
                    return work
                self._change.wait(wait if self._waiting is not None else None)
            return None

    def _failed(self, work: tuple[Path, Manifest], error: Exception) -> None:
        with self._change:
            doubled = self._retry_seconds * 2 ** min(self._failures, 10)
            self._failures += 1
            self._not_before = time.monotonic() + min(_MAX_PAUSE_SECONDS, doubled)
            if work[0].is_dir():  # else it was deleted meanwhile
                self._waiting = self._waiting or work
                line = f"  sync error (will retry): {error or type(error).__name__}"
                if line != self._last_line:
                    self._say(line)
                self._last_line = line
            self._sending = None
            self._change.notify_all()

    def _done(self) -> None:
        with self._change:
            if self._failures:
                self._say(f"  sync to {self.mirror.label} works again")
            self._failures, self._last_line = 0, ""
            self._not_before = 0.0 if self._hurry else time.monotonic() + self._pause_seconds
            self._sending = None
            self._change.notify_all()
