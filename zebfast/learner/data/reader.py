"""Everything that touches the example store, in one thread beside training.

The thread scans for new files, fetches, decodes and checks them, and puts what it read into a
short queue; the loop takes from it when it has a moment. It also deletes and squashes, which on
the Hub take seconds. The thread knows nothing of counting: that is the loop's.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zebfast.exchange import ExampleStore, ExchangeError, TransientError
from zebfast.exchange.names import MAX_LISTED
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import BadExampleFile, Examples, brief
from zebfast.system.events import Incident, emit
from zebfast.system.retry import Backoff, Once, doubling

_LOG = logging.getLogger(__name__)
_FETCH_AT_ONCE = 64
_QUEUE_FILES = 16
_MAX_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class FileRead:
    """One checked file."""

    name: str
    examples: Examples


@dataclass(frozen=True)
class ScanDone:
    """A scan of the store has ended; ``listed`` is None when it failed.

    ``number`` is that of the newest request that it answers.
    """

    number: int
    listed: list[str] | None


class ForeignExamples(ExchangeError):
    """The example files are of another namespace or network than this learner's."""


class ExampleReader:
    """The thread. Use ``take`` for what it read, ``close`` to end it.

    ``known`` are files that need not be read; ``expected`` are metadata entries (such as the
    weights name) that must be equal in every file that states them. There are ``poll_seconds``
    between scans and at least ``prune_seconds`` between deletions, which with ``keeps_all`` are
    moves into the archive; versions beyond ``squash_after`` are forgotten, 0 = never. ``error`` is
    what has ended the thread before its time.
    """

    def __init__(
        self,
        store: ExampleStore,
        *,
        known: Iterable[str],
        expected: Mapping[str, str],
        poll_seconds: float,
        prune_seconds: float,
        squash_after: int,
        keeps_all: bool = False,
    ) -> None:
        self.store = store
        self.expected = dict(expected)
        self._poll_seconds, self._prune_seconds = poll_seconds, prune_seconds
        self._squash_after, self.keeps_all = squash_after, keeps_all
        self._known = set(known)
        self._foreign: dict[str, str] = {}
        self._seen_own = bool(self._known)
        self._first_scan = True
        self._told_room = False
        self._read_ahead: queue.Queue[FileRead | ScanDone] = queue.Queue(maxsize=_QUEUE_FILES)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._requested = 1
        self._to_delete: set[str] = set()
        self._to_delete_lock = threading.Lock()
        self._last_deletion = -float("inf")
        self._is_new_fault = Once()
        longest = max(_MAX_PAUSE_SECONDS, poll_seconds)
        self._backoff = Backoff(doubling(2 * poll_seconds, longest=longest))
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="examples", daemon=True)
        self._thread.start()

    # --- for the loop ---

    def take(self, wait: float) -> list[FileRead | ScanDone]:
        """What has been read since; waits up to ``wait`` seconds for something."""
        found: list[FileRead | ScanDone] = []
        try:
            found.append(self._read_ahead.get(block=wait > 0, timeout=wait))
            while True:
                found.append(self._read_ahead.get_nowait())
        except queue.Empty:
            return found

    def request_scan(self) -> int:
        """Scan at once, once more; the number that the answering ScanDone reaches."""
        self._requested += 1
        self._wake.set()
        return self._requested

    def delete(self, names: Iterable[str]) -> None:
        """Delete these files, or move them away, when it is time to."""
        with self._to_delete_lock:
            self._to_delete.update(names)

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
                pause = self._scan()
                self._delete()
                self._compact()
                self._wake.wait(pause)
            self._last_deletion = -float("inf")
            self._delete()
        except Exception as error:  # asked for by the loop, which ends with it
            self.error = error

    def _scan(self) -> float:
        """Read what is new; seconds until the next scan, more of them after each failure."""
        number, pause = self._requested, self._poll_seconds
        listed: list[str] | None = None
        try:
            found = self.store.list()
            self._look_at_room(len(found))
            new = [name for name in found if name not in self._known]
            for start in range(0, len(new), _FETCH_AT_ONCE):
                self._read(new[start : start + _FETCH_AT_ONCE])
            self._judge_foreign()
            self._known.intersection_update(found)  # else this would grow for ever
            listed, self._first_scan = found, False
            self._backoff.succeeded()
            self._is_new_fault.over()
        except TransientError as error:
            pause = self._backoff.failed(error)
            self._report(f"  ingest error (skipping): {error}")
        self._put(ScanDone(number, listed))
        return pause

    def _look_at_room(self, n_files: int) -> None:
        """Say once that there are half as many files as a listing may have."""
        if n_files > MAX_LISTED // 2 and not self._told_room:
            self._told_room = True
            text = (
                f"  {self.store.label} lists {n_files:,} of at most {MAX_LISTED:,} files: move "
                "some away that were trained on, or let them be deleted with --keep-example-files"
            )
            emit(Incident(what="nearly full", text=text))

    def _read(self, names: Sequence[str]) -> None:
        with self.store.fetch(names) as paths:
            for name in names:
                if self._closing.is_set():
                    return
                if name in paths:  # else gone since the listing, or to be had at another scan
                    self._read_file(name, paths[name])

    def _read_file(self, name: str, path: Path) -> None:
        try:
            examples = read_examples(path)
            mismatch = self._mismatch(examples)
        except BadExampleFile as error:
            self._set_aside(name, str(error))
        except FileNotFoundError:
            return  # deleted between the listing and now
        except OSError as error:
            self._report(f"example file {name} could not be read, will retry: {error}")
        except Exception as error:  # one file never ends the learner, whatever reading it raises
            self._set_aside(name, f"example file {name} is refused: {brief(error)}")
        else:
            self._known.add(name)
            if mismatch is not None:
                self._foreign[name] = mismatch
                return
            self._seen_own = True
            self._put(FileRead(name, examples))

    def _mismatch(self, examples: Examples) -> str | None:
        """What the file says of itself that is not this learner's; None where there is nothing."""
        for key, wanted in self.expected.items():
            found = examples.metadata.get(key, wanted)
            if found != wanted:
                return f"its {key} is {str(found)[:60]!r}; expected {wanted!r}"
        return None

    def _judge_foreign(self) -> None:
        """Set single foreign files aside; refuse to start where there is nothing else."""
        if self._foreign and self._first_scan and not self._seen_own:
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
            what = "moved to bad/"
        except (OSError, TransientError) as error:
            why = getattr(error, "strerror", None) or error
            what = f"ignored; it could not be moved to bad/: {why}"
        emit(Incident(what="refused file", text=f"{reason} ({what})"))

    def _delete(self) -> None:
        with self._to_delete_lock:
            names = sorted(self._to_delete)
        if not names or time.monotonic() - self._last_deletion < self._prune_seconds:
            return
        try:
            (self.store.archive if self.keeps_all else self.store.delete)(names)
        except (OSError, TransientError) as error:
            self._report(f"  prune error (will retry): {error}")
            return
        self._last_deletion = time.monotonic()
        with self._to_delete_lock:
            self._to_delete.difference_update(names)

    def _compact(self) -> None:
        try:
            if self._squash_after and (line := self.store.compact(self._squash_after)):
                _LOG.info(line)
        except TransientError as error:
            self._report(f"  squash error (will retry): {error}")

    def _report(self, text: str) -> None:
        """Tell of a fault, but not of the same one at every scan."""
        if self._is_new_fault(text):
            emit(Incident(what="exchange", text=text))

    def _put(self, found: FileRead | ScanDone) -> None:
        """Wait for room; what nobody will take any more is dropped."""
        while True:
            try:
                self._read_ahead.put(found, timeout=0.1)
                return
            except queue.Full:
                if self._closing.is_set():
                    return
