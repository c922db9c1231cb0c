"""The thread that empties a spool: everything that waits, once an interval, until it is there."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zebfast.exchange.base import ExchangeError, Say, TransientError
from zebfast.exchange.places import StoreOptions
from zebfast.exchange.spool import Spool

_FILES_A_COMMIT = 100
_COMMITS_AN_HOUR = 100  # of the 128 that the Hub allows; the learner needs some too
_SHORTEST_INTERVAL = 240
_REFUSALS = 3  # in a row until the producer is told that it cannot go on


def upload_interval_for(n_workers: int) -> float:
    """Seconds between one worker's commits so that ``n_workers`` together stay within the quota."""
    return float(max(_SHORTEST_INTERVAL, math.ceil(n_workers * 3600 / _COMMITS_AN_HOUR)))


class Uploader:
    """Uploads what lies in ``spool``.

    Args:
        send: uploads files, all or none of them, under their own names.
        missing: of these files, the ones that the store does not have yet, whole.

    ``send`` may have succeeded though it failed (its reply was lost), now or in the process that
    left a file here; such files are asked for with ``missing`` before they are sent again.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        send: Callable[[Sequence[Path]], None],
        missing: Callable[[Sequence[Path]], Sequence[Path]],
        label: str,
        options: StoreOptions,
        say: Say,
    ) -> None:
        self._spool, self._send, self._missing = spool, send, missing
        self._label, self._options, self._say = label, options, say
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._doubtful: set[str] = set()
        self._next_commit = self._not_before = 0.0  # on the monotonic clock
        self._deadline: float | None = None
        self._failures = self._refusals = 0
        self._said = ""
        self._refused: Exception | None = None

    def check(self) -> None:
        """Raise what keeps the uploads from ever succeeding, if something does."""
        if self._refused is not None:
            raise self._refused

    def wake(self) -> None:
        """Something was spooled. The first call starts the thread."""
        if self._thread is None:
            self._doubtful.update(self._spool.take_over())
            self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
            self._thread.start()
        with self._changed:
            self._changed.notify()

    def close(self, grace: float) -> int:
        """Upload at once, for at most ``grace`` seconds; how many files are left."""
        with self._changed:
            self._deadline = time.monotonic() + grace
            self._not_before = 0.0
        self.wake()
        assert self._thread is not None
        self._thread.join(grace)
        return len(self._spool.names())

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    names = self._spool.names()
                    end = self._deadline
                    if end is not None and (not names or time.monotonic() >= end):
                        return
                    pause = self._pause(names)
                    if pause is None or pause > 0:
                        self._changed.wait(pause)
                        continue
                self._upload(names[:_FILES_A_COMMIT])
        except Exception as error:  # a bug must end the producer, not just this thread
            self._refused = error

    def _pause(self, names: Sequence[str]) -> float | None:
        """Seconds until the next attempt is due; None while there is nothing to upload."""
        if not names:
            return None
        due = self._not_before
        if self._deadline is None:
            due = max(due, self._next_commit)
            return due - time.monotonic()
        return min(due, self._deadline) - time.monotonic()

    def _upload(self, names: Sequence[str]) -> None:
        started = time.monotonic()
        try:
            doubtful = [name for name in names if name in self._doubtful]
            to_send = [self._spool.path(name) for name in names if name not in self._doubtful]
            if doubtful:
                to_send += self._missing([self._spool.path(name) for name in doubtful])
            if to_send:
                self._doubtful.update(path.name for path in to_send)
                self._send(sorted(to_send))
        except (ExchangeError, OSError) as error:
            self._failed(error)
            return
        self._spool.remove(names)
        self._doubtful.difference_update(names)
        self._failures = self._refusals = 0
        self._refused = None
        if self._said:
            self._say(f"  uploads to {self._label} work again")
            self._said = ""
        if len(names) < _FILES_A_COMMIT:
            self._next_commit = started + self._options.upload_interval

    def _failed(self, error: ExchangeError | OSError) -> None:
        options = self._options
        pause = min(options.retry_seconds * 2.0**self._failures, max(options.upload_interval, 60.0))
        self._failures = min(self._failures + 1, 20)
        if isinstance(error, TransientError):
            pause = max(pause, error.retry_after or 0.0)
        if isinstance(error, TransientError | OSError):
            self._refusals = 0
        else:
            self._refusals += 1
            if self._refusals >= _REFUSALS:
                self._refused = error
        with self._changed:
            self._not_before = time.monotonic() + pause
        if str(error) != self._said:
            self._said = str(error)
            self._say(
                f"  upload error (will retry): {error}; "
                f"{len(self._spool.names())} files wait in {self._spool.parent}"
            )
