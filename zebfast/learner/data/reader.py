"""Everything that touches the example store, in one thread beside training.

The thread looks for new files, fetches, decodes and checks them, and puts what it read into a
short queue; the loop takes from it when it has a moment. It also deletes and squashes, which on
the Hub take seconds. The thread knows nothing of counting: that is the loop's.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from zebfast.exchange import ExampleStore, ExchangeError, TransientError
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import BadExampleFile, Examples

# --- What the reader's thread tells the loop.

@dataclass(frozen=True)
class FileRead:
    """One checked file."""

    name: str
    examples: Examples


@dataclass(frozen=True)
class Said:
    """A line for the log about something that went wrong, but not for good."""

    line: str


@dataclass(frozen=True)
class LookDone:
    """A look at the store has ended; ``listed`` is None when it failed.

    ``number`` is that of the newest request that it answers.
    """

    number: int
    listed: list[str] | None


@dataclass(frozen=True)
class Failed:
    """The thread has ended with this."""

    error: Exception


Event: TypeAlias = FileRead | Said | LookDone | Failed


_FETCH_AT_ONCE = 64
_QUEUE_FILES = 16
_MAX_PAUSE_SECONDS = 60.0


class ForeignExamples(ExchangeError):
    """The example files are of another namespace or network than this learner's."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds between looks and, at least, between deletions; versions before squashing (0: no)."""

    poll_seconds: float
    prune_seconds: float
    squash_after: int


class ExampleReader:
    """The thread. Use ``take`` for its events, ``close`` to end it.

    ``known`` are files that need not be read; ``expected`` are metadata entries (such as the
    weights name) that must be equal in every file that states them.
    """

    def __init__(
        self,
        store: ExampleStore,
        *,
        known: Iterable[str],
        expected: Mapping[str, str],
        pace: Pace,
    ) -> None:
        self.store = store
        self.expected = dict(expected)
        self.pace = pace
        self._known = set(known)
        self._foreign: dict[str, str] = {}
        self._seen_own = bool(self._known)
        self._first_look = True
        self._events: queue.Queue[Event] = queue.Queue(maxsize=_QUEUE_FILES)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._requested = 1
        self._doomed: set[str] = set()
        self._doomed_lock = threading.Lock()
        self._last_deletion = -float("inf")
        self._last_trouble: str | None = None
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="examples", daemon=True)
        self._thread.start()

    # --- for the loop ---

    def take(self, wait: float) -> list[Event]:
        """What has happened; waits up to ``wait`` seconds for a first event."""
        events: list[Event] = []
        try:
            events.append(self._events.get(timeout=wait) if wait > 0 else self._events.get_nowait())
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            return events

    def request_look(self) -> int:
        """Look at once, once more; the number that the answering LookDone reaches."""
        self._requested += 1
        self._wake.set()
        return self._requested

    def delete(self, names: Iterable[str]) -> None:
        """Delete these files when it is time to."""
        with self._doomed_lock:
            self._doomed.update(names)

    def close(self, seconds: float) -> None:
        """End the thread, deleting first what is still to be deleted; wait at most so long."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    # --- in the thread ---

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._wake.clear()
                self._look()
                self._delete()
                self._compact()
                self._wake.wait(self._pause())
            self._last_deletion = -float("inf")
            self._delete()
        except Exception as error:  # told to the loop, which ends with it
            self._put(Failed(error))

    def _look(self) -> None:
        number = self._requested
        listed: list[str] | None = None
        try:
            found = self.store.list()
            new = [name for name in found if name not in self._known]
            for start in range(0, len(new), _FETCH_AT_ONCE):
                self._read(new[start : start + _FETCH_AT_ONCE])
            self._judge_foreign()
            self._known.intersection_update(found)  # else this would grow for ever
            listed = found
            self._failures, self._last_trouble, self._first_look = 0, None, False
        except TransientError as error:
            self._failures += 1
            self._trouble(f"  ingest error (skipping): {error}")
        self._put(LookDone(number, listed))

    def _read(self, names: Sequence[str]) -> None:
        with self.store.fetch(names) as paths:
            for name in names:
                if self._closing.is_set():
                    return
                if name in paths:  # else gone since the listing, or to be had at another look
                    self._read_file(name, paths[name])

    def _read_file(self, name: str, path: Path) -> None:
        try:
            examples = read_examples(path)
        except BadExampleFile as error:
            self._set_aside(name, str(error))
        except FileNotFoundError:
            return  # deleted between the listing and now
        except OSError as error:
            self._trouble(f"example file {name} could not be read, will retry: {error}")
        else:
            mismatch = self._mismatch(examples)
            self._known.add(name)
            if mismatch:
                self._foreign[name] = mismatch
            else:
                self._seen_own = True
                self._put(FileRead(name, examples))

    def _mismatch(self, examples: Examples) -> str | None:
        for key, wanted in self.expected.items():
            found = examples.metadata.get(key, wanted)
            if found != wanted:
                return f"its {key} is {str(found)[:60]!r}; expected {wanted!r}"
        return None

    def _judge_foreign(self) -> None:
        """Set single foreign files aside; refuse to start where there is nothing else."""
        if self._foreign and self._first_look and not self._seen_own:
            name, mismatch = next(iter(self._foreign.items()))
            raise ForeignExamples(
                f"the example files in {self.store.label} are not this learner's: {mismatch} "
                f"({name}, one of {len(self._foreign)}): give the --weights-name and --checkpoint "
                "that their workers use, or move these files away"
            )
        for name, mismatch in self._foreign.items():
            self._set_aside(
                name, f"example file {name} is refused: {mismatch}, as this learner trains"
            )
        self._foreign.clear()

    def _set_aside(self, name: str, reason: str) -> None:
        self._known.add(name)
        try:
            self.store.quarantine(name, reason)
        except (OSError, TransientError) as error:
            why = getattr(error, "strerror", None) or error
            self._put(Said(f"{reason} (ignored; it could not be moved to bad/: {why})"))
        else:
            self._put(Said(f"{reason} (moved to bad/)"))

    def _delete(self) -> None:
        with self._doomed_lock:
            names = sorted(self._doomed)
        if not names or time.monotonic() - self._last_deletion < self.pace.prune_seconds:
            return
        try:
            self.store.delete(names)
        except (OSError, TransientError) as error:
            self._trouble(f"  prune error (will retry): {error}")
            return
        self._last_deletion = time.monotonic()
        with self._doomed_lock:
            self._doomed.difference_update(names)

    def _compact(self) -> None:
        if not self.pace.squash_after:
            return
        try:
            line = self.store.compact(self.pace.squash_after)
        except TransientError as error:
            line = f"  squash error (will retry): {error}"
        if line:
            self._trouble(line)

    def _pause(self) -> float:
        """Until the next look: longer after each failure."""
        longest = max(_MAX_PAUSE_SECONDS, self.pace.poll_seconds)
        return min(longest, self.pace.poll_seconds * 2.0 ** min(self._failures, 6))

    def _trouble(self, line: str) -> None:
        """Say a line, but not the same one at every look."""
        if line != self._last_trouble:
            self._last_trouble = line
            self._put(Said(line))

    def _put(self, event: Event) -> None:
        """Wait for room; events nobody will take any more are dropped."""
        while True:
            try:
                self._events.put(event, timeout=0.1)
                return
            except queue.Full:
                if self._closing.is_set():
                    return
