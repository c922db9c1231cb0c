"""From example files to the replay buffers: every file counted once.

The reader's thread does the slow part; here, between steps, what it read is taken in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from zebfast.core.records import EXAMPLE_HAS_BELIEF, EXAMPLE_HAS_POINTS
from zebfast.learner.data.mixture import Sources, is_kept
from zebfast.learner.data.reader import ExampleReader, Failed, FileRead, LookDone, Said
from zebfast.learner.schedule import Course
from zebfast.learner.state import Progress, StreamRecord
from zebfast.selfplay.examples import SOURCE_EVAL

# A name is forgotten only after its file has been gone for so long: a worker that retries an
# upload, or a listing that is behind, may bring it back, and it must not be counted again.
_FORGET_SECONDS = 3600.0


@dataclass
class IngestReport:
    """What was taken in: files, self-play examples, eval-aux examples by what became of them.

    ``look_done`` is the number of the look that has ended with it, or 0; ``failed`` is what has
    ended the reader.
    """

    n_files: int = 0
    n_examples: int = 0
    eval_aux_seen: int = 0
    eval_aux_kept: int = 0
    eval_aux_stale: int = 0
    eval_aux_disabled: int = 0
    problems: list[str] = field(default_factory=list)
    look_done: int = 0
    failed: Exception | None = None

    def add(self, other: IngestReport) -> None:
        """Add the counts of another report."""
        self.n_files += other.n_files
        self.n_examples += other.n_examples
        self.eval_aux_seen += other.eval_aux_seen
        self.eval_aux_kept += other.eval_aux_kept
        self.eval_aux_stale += other.eval_aux_stale
        self.eval_aux_disabled += other.eval_aux_disabled


class Ingestor:
    """Takes what the reader read into the buffers and keeps ``progress`` right about it.

    Two questions are kept apart. Counted: is the file in ``progress.ledger``, which is saved with
    ``total_games``? Held: are its examples in the buffers, which are saved on their own and more
    rarely? After a crash a file may be counted and not held; then it is read again, not counted
    again. Eval-aux files that are skipped because the stream is disabled are neither, so that they
    are read once it is enabled.

    ``held`` are the files already in ``sources``; ``has_belief_head`` and ``has_points_head`` are
    about the network. ``course``, if there is one, is told of every new file.
    """

    def __init__(
        self,
        reader: ExampleReader,
        sources: Sources,
        progress: Progress,
        *,
        held: Iterable[str],
        has_belief_head: bool,
        has_points_head: bool,
        course: Course | None = None,
    ) -> None:
        self.reader = reader
        self.sources = sources
        self.progress = progress
        self.streams = StreamRecord(progress.streams)
        self.held = set(held)
        self.skipped: set[str] = set()
        self._listed: list[str] = []
        self._gone_since: dict[str, float] = {}
        self._wants_belief = has_belief_head
        self._wants_points = has_points_head
        self._course = course

    def adopt(self, wait: float = 0.0) -> IngestReport:
        """Take in what has been read since; waits up to ``wait`` seconds for something."""
        report = IngestReport()
        for event in self.reader.take(wait):
            match event:
                case FileRead():
                    self._take(event, report)
                case Said(line):
                    report.problems.append(line)
                case LookDone(number, listed):
                    report.look_done = number
                    if listed is not None:
                        self._listed = listed
                        self._forget_deleted()
                case Failed(error):
                    report.failed = error
        return report

    def _take(self, file: FileRead, report: IngestReport) -> None:
        name, examples = file.name, file.examples
        report.n_files += 1
        self._check_targets(file, report)
        is_new = name not in self.progress.ledger
        if examples.source != SOURCE_EVAL:
            if name not in self.held and not self._is_forgotten(name):
                self.sources.add_selfplay(examples.records)
                report.n_examples += len(examples.records)
            if is_new:
                self.progress.total_games += examples.n_games
        elif not self._take_eval_aux(file, report, is_new=is_new):
            return
        if is_new:
            self.streams.count(name, examples)
        self.held.add(name)
        self.progress.ledger.add(name)
        if is_new and self._course is not None and examples.source != SOURCE_EVAL:
            self._course.count(len(examples.records), examples.n_games)

    def _is_forgotten(self, name: str) -> bool:
        course = self.progress.course
        return course is not None and name in course.forgotten

    def _take_eval_aux(self, file: FileRead, report: IngestReport, *, is_new: bool) -> bool:
        """False: the stream is disabled, and the file has not been dealt with."""
        name, examples, config = file.name, file.examples, self.sources.config
        n = len(examples.records)
        report.eval_aux_seen += n
        if not config.enabled:
            self.skipped.add(name)
            report.eval_aux_disabled += n
            return False
        lag = self.progress.step - int(examples.metadata["model_step"])
        if not is_kept(name, lag, config):
            report.eval_aux_stale += n
        elif name not in self.held:
            self.sources.add_eval_aux(examples.records)
            report.eval_aux_kept += n
        if is_new:
            self.progress.eval_aux_games += examples.n_games
        return True

    def _check_targets(self, file: FileRead, report: IngestReport) -> None:
        """Say once each that there are files from which a head learns nothing, or less."""
        flags = file.examples.records["flags"]
        if self._wants_belief and not (flags & EXAMPLE_HAS_BELIEF).any():
            self._wants_belief = False
            report.problems.append(
                f"example file {file.name} has no belief targets (and there may be more of them): "
                "the belief head of this network learns nothing from it"
            )
        if self._wants_points and not (flags & EXAMPLE_HAS_POINTS).any():
            self._wants_points = False
            report.problems.append(
                f"example file {file.name} has no final points (and there may be more of them): "
                "this network learns from it who won, not by how much"
            )

    def _forget_deleted(self) -> None:
        """Forget what has been gone for long; an empty listing is no evidence of that."""
        if not self._listed:
            return
        now, present = time.monotonic(), set(self._listed)
        missing = (self.progress.ledger | self.held) - present
        self._gone_since = {name: self._gone_since.get(name, now) for name in missing}
        gone = {name for name, since in self._gone_since.items() if now - since > _FORGET_SECONDS}
        self.progress.ledger -= gone
        self.held -= gone
        self.skipped &= present

    def prune(self, *, keep: int, durable: Callable[[str], bool]) -> None:
        """Have the oldest files beyond ``keep`` deleted of which ``durable(name)`` holds."""
        surplus = self._listed[: max(0, len(self._listed) - keep)]
        self.reader.delete(name for name in surplus if durable(name))
