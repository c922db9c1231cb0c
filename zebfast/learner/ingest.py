"""From example files to the replay buffer: every file counted once, bad ones set aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zebfast.exchange import ExampleStore, TransientError
from zebfast.learner.checkpoint import Progress
from zebfast.learner.replay import ReplayBuffer
from zebfast.selfplay.examples import (
    SOURCE_SELFPLAY,
    BadExampleFile,
    Examples,
    parse_example_name,
    read_examples,
)

# A name is forgotten only this long (by the times in the names) after its file has gone: a worker
# that retries an upload may bring a deleted file back, and it must not be counted again.
_FORGET_SECONDS = 3600


@dataclass
class IngestReport:
    """What one look at the example store brought."""

    n_files: int = 0
    n_examples: int = 0
    n_eval_examples: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


class Ingestor:
    """Reads new files into the replay buffer and keeps ``progress`` right about them.

    Two questions are kept apart. Counted: is the file in ``progress.ledger``, which is saved with
    ``total_games``? Held: are its examples in the buffer, which is saved on its own and more
    rarely? After a crash a file may be counted and not held; then it is read again, not counted
    again.

    ``held`` are the files already in ``replay``; ``expected`` are metadata entries (such as the
    weights name) that must be equal in every file that states them.
    """

    def __init__(
        self,
        store: ExampleStore,
        replay: ReplayBuffer,
        progress: Progress,
        *,
        held: Iterable[str],
        expected: Mapping[str, str],
    ) -> None:
        self.store = store
        self.expected = dict(expected)
        self.replay = replay
        self.progress = progress
        self.held = set(held)
        self._listed: list[str] = []
        self._unmovable: set[str] = set()

    def ingest(self, *, should_stop: Callable[[], bool]) -> IngestReport:
        """Read every file that is not both counted and held, oldest first.

        OSError and TransientError of one file leave it for the next look; a bad file is set aside.
        """
        started = time.perf_counter()
        report = IngestReport()
        self._listed = self.store.list()
        for name in self._listed:
            done = name in self.progress.ledger and name in self.held
            if done or name in self._unmovable:
                continue
            if should_stop():
                break
            with self.store.fetch([name]) as paths:
                if name in paths:  # else deleted between the listing and now
                    self._ingest_file(name, paths[name], report)
        self._forget_deleted()
        report.seconds = time.perf_counter() - started
        return report

    def _ingest_file(self, name: str, path: Path, report: IngestReport) -> None:
        try:
            examples = read_examples(path)
            self._check_origin(name, examples)
        except BadExampleFile as error:
            report.problems.append(self._set_aside(name, str(error)))
        except FileNotFoundError:
            return  # deleted between the listing and now
        except (OSError, TransientError) as error:
            report.problems.append(f"example file {name} could not be read, will retry: {error}")
        else:
            self._take(name, examples, report)

    def _check_origin(self, name: str, examples: Examples) -> None:
        for key, wanted in self.expected.items():
            found = examples.metadata.get(key, wanted)
            if found != wanted:
                raise BadExampleFile(
                    f"example file {name} is refused: its {key} is {str(found)[:60]!r}; expected "
                    f"{wanted!r}, as this learner trains"
                )

    def _take(self, name: str, examples: Examples, report: IngestReport) -> None:
        report.n_files += 1
        if examples.source != SOURCE_SELFPLAY:
            # This version has no evaluation-label stream: such files are noted, never mixed in.
            report.n_eval_examples += len(examples.records)
        else:
            if name not in self.held:
                self.replay.add(examples.records)
                report.n_examples += len(examples.records)
            if name not in self.progress.ledger:
                self.progress.total_games += examples.n_games
        self.held.add(name)
        self.progress.ledger.add(name)

    def _set_aside(self, name: str, reason: str) -> str:
        try:
            self.store.set_aside(name, reason)
        except OSError as error:
            self._unmovable.add(name)
            return f"{reason} (ignored; it could not be moved to bad/: {error.strerror})"
        return f"{reason} (moved to bad/)"

    def _forget_deleted(self) -> None:
        known = self.progress.ledger | self.held
        newest = max(map(_unix_seconds, known), default=0)
        present = set(self._listed)
        gone = {name for name in known - present if newest - _unix_seconds(name) > _FORGET_SECONDS}
        self.progress.ledger -= gone
        self.held -= gone

    def prune(self, *, keep: int, durable: Callable[[str], bool]) -> int:
        """Delete the oldest files beyond ``keep`` of which ``durable(name)`` holds; how many."""
        surplus = self._listed[: max(0, len(self._listed) - keep)]
        return self.store.delete([name for name in surplus if durable(name)])


def _unix_seconds(name: str) -> int:
    parsed = parse_example_name(name)
    return parsed.unix_seconds if parsed else 0
