"""The thread that empties a spool: everything that waits, once an interval, until it is there."""

from __future__ import annotations

import errno
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zebfast.exchange.errors import ExchangeError, TransientError
from zebfast.exchange.hub.spool import Spool
from zebfast.exchange.place import StoreOptions
from zebfast.system.events import Incident, emit
from zebfast.system.retry import Backoff, Once, doubling

_LOG = logging.getLogger(__name__)
_FILES_A_COMMIT = 100
_COMMITS_AN_HOUR = 100  # of the 128 that the Hub allows; the learner needs some too
_SHORTEST_INTERVAL = 240
_REFUSALS = 3  # in a row until the producer is told that it cannot go on


def upload_interval_for(n_workers: int) -> float:
    """Seconds between one worker's commits so that ``n_workers`` together stay within the quota."""
    return float(max(_SHORTEST_INTERVAL, math.ceil(n_workers * 3600 / _COMMITS_AN_HOUR)))


Content = Path | bytes


@dataclass(frozen=True)
class _Beat:
    """A heartbeat that waits: ``due`` is when it goes without examples, on the monotonic clock."""

    name: str
    data: bytes
    due: float


class Uploader:
    """Uploads what lies in ``spool``, and the newest heartbeat.

    Args:
        send: uploads files, by the names they get, all or none of them.
        missing: of these files, the ones that the store does not have yet, whole.
        quota: may the store be sent to only so often? Then a heartbeat waits for company.

    ``send`` may have succeeded though it failed (its reply was lost), now or in the process that
    left a file here; such files are asked for with ``missing`` before they are sent again.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        send: Callable[[Mapping[str, Content]], None],
        missing: Callable[[Sequence[Path]], Sequence[Path]],
        label: str,
        quota: bool,
        options: StoreOptions,
    ) -> None:
        self._spool, self._send, self._missing = spool, send, missing
        self._label, self._quota, self._options = label, quota, options
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._doubtful: set[str] = set()
        self._beat: _Beat | None = None
        self._doubtful_beat: _Beat | None = None
        self._next_commit = self._not_before = 0.0  # on the monotonic clock
        self._deadline: float | None = None
        self._refusals = 0
        longest = max(options.upload_interval, 60.0)
        self._backoff = Backoff(doubling(options.retry_seconds, longest=longest))
        self._is_new = Once()
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

    def beat(self, name: str, data: bytes, *, at_once: bool) -> None:
        """Send ``data`` as ``name`` with what goes next, instead of a heartbeat that waits."""
        due = now = time.monotonic()
        with self._changed:
            if self._quota and not at_once:
                # Whoever started this worker does not wait a long interval for its first sign.
                first = self._next_commit == 0.0
                interval = self._options.upload_interval
                due = now + (min(interval, _SHORTEST_INTERVAL) if first else interval)
            if self._beat is not None:
                due = min(due, self._beat.due)
            self._beat = _Beat(name, data, due)
        self.wake()

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
            while self._goes_on():
                pass
        except Exception as error:  # a bug must end the producer, not just this thread
            self._refused = error

    def _goes_on(self) -> bool:
        """Wait, or upload what is due; False at the end."""
        with self._changed:
            beat, end, now = self._beat, self._deadline, time.monotonic()
            try:
                names = self._spool.names()
            except OSError as error:
                self._failed(error, ())
                self._changed.wait(self._not_before - now)
                return end is None or now < end
            if end is not None and self._is_done(names, beat, end):
                return False
            due = self._due(names, beat)
            if due is None or due > now:
                self._changed.wait(None if due is None else due - now)
                return True
            if end is None and self._next_commit > now:
                names = []  # a heartbeat that need not wait for them
        self._upload(names[:_FILES_A_COMMIT], beat)
        return True

    def _is_done(self, names: Sequence[str], beat: _Beat | None, end: float) -> bool:
        """At the end: a heartbeat alone is worth one attempt, not the whole grace."""
        return time.monotonic() >= end or not (names or (beat and not self._backoff.failures))

    def _due(self, names: Sequence[str], beat: _Beat | None) -> float | None:
        """When the next attempt is due; None while there is nothing to upload."""
        if not names and beat is None:
            return None
        if self._deadline is not None:
            return min(self._not_before, self._deadline)
        times = [self._next_commit] if names else []
        if beat is not None:
            times.append(max(beat.due, self._next_commit) if self._quota else beat.due)
        return max(self._not_before, min(times))

    def _upload(self, names: Sequence[str], beat: _Beat | None) -> None:
        started = time.monotonic()
        try:
            doubtful = [name for name in names if name in self._doubtful]
            to_send = [self._spool.path(name) for name in names if name not in self._doubtful]
            if doubtful:
                to_send += self._missing([self._spool.path(name) for name in doubtful])
            # All or none: where the files of a doubtful upload are there, so is its heartbeat.
            has_beaten = doubtful and not to_send and beat is self._doubtful_beat
            if to_send or (beat and not has_beaten):
                self._doubtful.update(path.name for path in to_send)
                self._doubtful_beat = beat
                files: dict[str, Content] = {path.name: path for path in sorted(to_send)}
                self._send(files | ({beat.name: beat.data} if beat else {}))
        except (ExchangeError, OSError) as error:
            self._failed(error, names)
            return
        with self._changed:
            if self._beat is beat:  # else a newer one waits
                self._beat = None
        try:
            self._spool.remove(names)
        except OSError as error:  # they are there, and doubtful until that is seen again
            self._failed(error, names)
            return
        self._doubtful.difference_update(names)
        self._refusals = 0
        self._backoff.succeeded()
        self._refused = None
        if self._is_new.over():
            _LOG.info(f"  uploads to {self._label} work again")
        if len(names) < _FILES_A_COMMIT and (names or self._quota):
            self._next_commit = started + self._options.upload_interval

    def _failed(self, error: ExchangeError | OSError, names: Sequence[str]) -> None:
        pause = self._backoff.failed(error)
        if isinstance(error, TransientError | OSError):
            self._refusals = 0
        elif names:  # for a heartbeat alone nobody is stopped
            self._refusals += 1
            if self._refusals >= _REFUSALS:
                self._refused = error
        with self._changed:
            self._not_before = time.monotonic() + pause
        if self._is_new(str(error)):
            text = f"  upload error (will retry): {error}"
            with suppress(OSError):
                text += f"; {len(self._spool.names())} files wait in {self._spool.parent}"
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            emit(Incident(what="full disk" if full else "exchange", text=text))
