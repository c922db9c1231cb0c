"""Publishing beside training: one push at a time, in its own thread, the newest snapshot wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from zebfast.exchange import TransientError, WeightStore

_MAX_PAUSE_SECONDS = 300.0


@dataclass(frozen=True)
class Snapshot:
    """What one push says: weights on the CPU that nobody changes, their config and the state."""

    state_dict: dict[str, Tensor]
    config: Mapping[str, Any]
    state: Mapping[str, Any]
    fingerprint: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of pushes since the last question.

    Attributes:
        published: the snapshot that the store has now, if that changed.
        lines: for the log.
        error: what ended the thread; nothing more will be published.
    """

    published: Snapshot | None
    lines: list[str]
    error: Exception | None


class Publisher:
    """The thread. ``submit`` and ``renew`` return at once; ``outcome`` tells; ``finish`` waits.

    Args:
        store: its namespace is held by the caller.
        push_seconds: least time between pushes.
        retry_seconds: pause after a passing failure; it doubles each time.
        squash_after: versions beyond which the store's history is forgotten; 0 = never.
    """

    def __init__(
        self,
        store: WeightStore,
        *,
        push_seconds: float,
        retry_seconds: float,
        squash_after: int,
    ) -> None:
        self.store = store
        self._push_seconds = push_seconds
        self._retry_seconds = retry_seconds
        self._squash_after = squash_after
        self._change = threading.Condition()
        self._snapshot: Snapshot | None = None
        self._renewal: Mapping[str, Any] | None = None
        self._busy = False
        self._hurry = self._closing = False
        self._published: Snapshot | None = None
        self._lines: list[str] = []
        self._last_line: str | None = None
        self._error: Exception | None = None
        self._last_push = -float("inf")
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def submit(self, snapshot: Snapshot) -> None:
        """Publish this as soon as may be; what still waits is dropped, being older."""
        with self._change:
            self._snapshot, self._renewal = snapshot, None
            self._change.notify_all()

    def renew(self, changes: Mapping[str, Any]) -> None:
        """Change keys of the state, with the push that waits if one does."""
        with self._change:
            if self._snapshot is None:
                self._renewal = changes
            else:
                self._snapshot = replace(self._snapshot, state={**self._snapshot.state, **changes})
            self._change.notify_all()

    def outcome(self) -> Outcome:
        """What has happened since this was last asked."""
        with self._change:
            told = Outcome(self._published, self._lines, self._error)
            self._published, self._lines = None, []
            return told

    def finish(self, seconds: float) -> bool:
        """Publish what waits without more ado; False if that took longer than ``seconds``."""
        with self._change:
            self._hurry = True
            self._change.notify_all()
            return self._change.wait_for(self._is_idle, seconds)

    def close(self, seconds: float) -> None:
        """End the thread once its present call is over; what waits is dropped."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(seconds)

    def _is_idle(self) -> bool:
        nothing = self._snapshot is None and self._renewal is None and not self._busy
        return nothing or self._error is not None

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                if isinstance(work, Snapshot):
                    self.store.publish(work.state_dict, work.config, work.state)
                    self._compact()
                else:
                    self.store.update_state(work)
            except TransientError as error:
                self._failed(work, error)
            except Exception as error:  # told to the loop, which ends with it
                with self._change:
                    self._error, self._busy = error, False
                    self._change.notify_all()
                return
            else:
                self._done(work)

    def _next(self) -> Snapshot | Mapping[str, Any] | None:
        """Wait for work and the time to do it; None when closing."""
        with self._change:
            while not self._closing:
                wait = self._seconds_to_wait()
                if wait <= 0 and (work := self._snapshot or self._renewal) is not None:
                    if work is self._snapshot:
                        self._snapshot = None
                    else:
                        self._renewal = None
                    self._busy = True
                    return work
                waiting = self._snapshot is not None or self._renewal is not None
                self._change.wait(wait if waiting else None)
            return None

    def _seconds_to_wait(self) -> float:
        if self._hurry and not self._failures:
            return 0.0
        pause = self._push_seconds
        if self._failures:
            doubled = self._retry_seconds * 2 ** min(self._failures - 1, 10)
            pause = min(_MAX_PAUSE_SECONDS, doubled)
        return self._last_push + pause - time.monotonic()

    def _failed(self, work: Snapshot | Mapping[str, Any], error: TransientError) -> None:
        with self._change:
            self._failures += 1
            self._last_push = time.monotonic()
            line = f"  push error (will retry): {error}"
            if line != self._last_line:
                self._lines.append(line)
                self._last_line = line
            if isinstance(work, Snapshot):
                self._snapshot = self._snapshot or work
            elif self._snapshot is None:
                self._renewal = self._renewal or work
            self._busy = False
            self._change.notify_all()

    def _done(self, work: Snapshot | Mapping[str, Any]) -> None:
        with self._change:
            self._failures, self._last_line = 0, None
            self._last_push = time.monotonic()
            if isinstance(work, Snapshot):
                self._published = work
            self._busy = False
            self._change.notify_all()

    def _compact(self) -> None:
        if not self._squash_after:
            return
        try:
            line = self.store.compact(self._squash_after)
        except TransientError as error:
            line = f"  squash error (will retry): {error}"
        if line:
            with self._change:
                self._lines.append(line)
