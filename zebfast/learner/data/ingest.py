"""From example files to the replay buffers: every file counted once.

The reader's thread does the slow part; here, between steps, what it read is taken in.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from zebfast.core.records import EXAMPLE_HAS_BELIEF, EXAMPLE_HAS_POINTS
from zebfast.exchange.names import MAX_LISTED, serial_of
from zebfast.learner.data.reader import ExampleReader, FileRead
from zebfast.learner.data.replay import ReplayMixture, is_kept
from zebfast.learner.metrics import MetricsRow
from zebfast.learner.state import Progress
from zebfast.selfplay.producer_kinds import EVAL_AUX
from zebfast.system.events import Incident, emit

# A name is forgotten only after its file has been gone for so long: a worker that retries an
# upload, or a listing that is behind, may bring it back, and it must not be counted again.
_FORGET_SECONDS = 3600.0
# Of files that are known without their names only so many are remembered for that long.
_MOST_GONE = 1 << 16
#: Files that stay listed where none is deleted: enough to fill a replay buffer again.
MOST_LISTED = 1 << 13


@dataclass
class IngestReport:
    """What was taken in: files, self-play examples, and eval-aux ones by what became of them.

    Of the eval-aux examples seen, each was kept, or skipped as stale (too old, or thinned out by
    age), or skipped because the stream is disabled. ``scan_done`` is the number of the scan that
    has ended with it, or 0.
    """

    files: int = 0
    examples: int = 0
    eval_aux_seen: int = 0
    eval_aux_kept: int = 0
    eval_aux_stale: int = 0
    eval_aux_disabled: int = 0
    scan_done: int = 0

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        counts = asdict(self)
        del counts["scan_done"]
        return counts

    def add(self, other: IngestReport) -> None:
        """Add the counts of another report."""
        for name, count in other.counts().items():
            setattr(self, name, getattr(self, name) + count)

    def row(self, seconds: float) -> MetricsRow:
        """The metrics of what was taken in over so long."""
        return {
            "ingest/selfplay_examples": self.examples,
            "ingest/selfplay_examples_per_s": self.examples / max(seconds, 1e-9),
            "ingest/eval_aux_seen_examples": self.eval_aux_seen,
            "ingest/eval_aux_kept_examples": self.eval_aux_kept,
            "ingest/eval_aux_skipped_stale_examples": self.eval_aux_stale,
            "ingest/eval_aux_skipped_disabled_examples": self.eval_aux_disabled,
        }


class Ingestor:
    """Takes what the reader read into the buffers and keeps ``progress`` right about it.

    Two questions are kept apart. Counted: does ``progress`` know the file, in its ledger or by its
    session, which are saved with ``total_games``? Held: are its examples in the buffers, which are
    saved on their own and more rarely? After a crash a file may be counted and not held; then it is
    read again, not counted again. Eval-aux files that are skipped because the stream is disabled
    are neither, so that they are read once it is enabled.

    ``held`` are the files already in ``mixture``, in the order in which they were taken in;
    ``has_belief_head`` and ``has_points_head`` are about the network. ``on_new``, where it is
    given, is told of every new file: how many examples and games it has.
    """

    def __init__(
        self,
        reader: ExampleReader,
        mixture: ReplayMixture,
        progress: Progress,
        *,
        held: Iterable[str],
        has_belief_head: bool,
        has_points_head: bool,
        on_new: Callable[[int, int], None] | None = None,
    ) -> None:
        self.reader = reader
        self.mixture = mixture
        self.progress = progress
        self.held = set(held)
        # When they were taken in, as numbers: no worker's clock decides which are the oldest.
        self._numbers = itertools.count()
        self._order = dict(zip(held, self._numbers, strict=False))
        self.skipped: set[str] = set()
        self._listed: list[str] = []
        self._gone_since: dict[str, float] = {}
        self._next_look = -float("inf")
        self._wants_belief = has_belief_head
        self._wants_points = has_points_head
        self._on_new = on_new

    def adopt(self, wait: float = 0.0) -> IngestReport:
        """Take in what has been read since; waits up to ``wait`` seconds for something."""
        report = IngestReport()
        for found in self.reader.take(wait):
            if isinstance(found, FileRead):
                self._take(found, report)
                continue
            report.scan_done = found.number
            if found.listed is not None:
                self._listed = found.listed
                self._forget_deleted()
        return report

    def _take(self, file: FileRead, report: IngestReport) -> None:
        name, examples = file.name, file.examples
        report.files += 1
        self._order.setdefault(name, next(self._numbers))
        self._check_targets(file)
        serial = serial_of(name, examples.metadata)
        is_new = not self.progress.has_counted(name, serial)
        if is_new and self._is_played_twice(file):
            self.held.add(name)
            self.progress.note_counted(name, serial)
            return
        if examples.source != EVAL_AUX.source:
            if name not in self.held and not self.progress.has_forgotten(name):
                self.mixture.selfplay.add(examples.records)
                report.examples += len(examples.records)
            if is_new:
                self.progress.total_games += examples.n_games
        elif not self._take_eval_aux(file, report, is_new=is_new):
            return
        if is_new:
            self.progress.streams.count(name, examples)
        self.held.add(name)
        self.progress.note_counted(name, serial)
        if is_new and self._on_new is not None and examples.source != EVAL_AUX.source:
            self._on_new(len(examples.records), examples.n_games)

    def _is_played_twice(self, file: FileRead) -> bool:
        """Says and tells that a file holds games that another file has brought."""
        facts, is_eval_aux = file.examples.metadata, file.examples.source == EVAL_AUX.source
        if facts.get("given_seed") is not True or (is_eval_aux and not self.mixture.config.enabled):
            return False  # a random seed is nobody else's
        numbers = [facts.get(key) for key in ("seed", "first_game", "model_step")]
        known = [each for each in numbers if type(each) is int and 0 <= each < 1 << 64]
        if len(known) < len(numbers):
            return False
        seed, first, step = known
        games = range(first, first + file.examples.n_games)
        if self.progress.sessions.add_games(file.examples.source, seed, step, games):
            return False
        text = (
            f"example file {file.name} is left out: games {games.start} to {games.stop - 1} of "
            f"seed {seed}, played by step {step}, were counted before; two workers have this "
            "--seed, or one has lost its place: give each a --seed of its own, or none"
        )
        emit(Incident(what="refused file", text=text))
        return True

    def _take_eval_aux(self, file: FileRead, report: IngestReport, *, is_new: bool) -> bool:
        """False: the stream is disabled, and the file has not been dealt with."""
        name, examples, config = file.name, file.examples, self.mixture.config
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
            self.mixture.add_eval_aux(examples.records)
            report.eval_aux_kept += n
        if is_new:
            self.progress.eval_aux_games += examples.n_games
        return True

    def _check_targets(self, file: FileRead) -> None:
        """Say once each that there are files from which a head learns nothing, or less."""
        flags = file.examples.records["flags"]
        if self._wants_belief and not (flags & EXAMPLE_HAS_BELIEF).any():
            self._wants_belief = False
            _tell_lack(
                f"example file {file.name} has no belief targets (and there may be more of them): "
                "the belief head of this network learns nothing from it"
            )
        if self._wants_points and not (flags & EXAMPLE_HAS_POINTS).any():
            self._wants_points = False
            _tell_lack(
                f"example file {file.name} has no final points (and there may be more of them): "
                "this network learns from it who won, not by how much"
            )

    def _forget_deleted(self) -> None:
        """Forget what has been gone for long, which listings that are empty or cut do not show."""
        now = time.monotonic()
        if not 0 < len(self._listed) <= MAX_LISTED // 2 or now < self._next_look:
            return
        self._next_look = now + _FORGET_SECONDS / 60
        present = set(self._listed)
        missing = (self.progress.ledger | self.held) - present
        self._gone_since = {name: self._gone_since.get(name, now) for name in missing}
        gone = {name for name, since in self._gone_since.items() if now - since > _FORGET_SECONDS}
        if len(self._gone_since) > _MOST_GONE and self.progress.numbered:
            by_time = sorted(self._gone_since, key=self._gone_since.__getitem__)
            gone.update(self.progress.numbered.intersection(by_time[:-_MOST_GONE]))
        self.progress.forget(gone)
        self.held -= gone
        for name in gone | (self.skipped - present):
            self._order.pop(name, None)
        self.skipped &= present

    def in_order(self) -> list[str]:
        """Names of the files that are held, in the order in which they were taken in."""
        return sorted(self.held, key=self._order.__getitem__)

    def prune(self, *, keep: int, durable: Callable[[str], bool]) -> None:
        """Have the oldest files beyond ``keep`` deleted of which ``durable(name)`` holds.

        The oldest are those that were taken in first, and those of which that is not known. Where
        all are to be kept, those beyond what a listing may have are moved out of it: only files
        that are known without their names, so that none is counted again from anywhere.
        """
        keeps_all, numbered = self.reader.keeps_all, self.progress.numbered
        n_surplus = len(self._listed) - (MOST_LISTED if keeps_all else keep)
        if n_surplus <= 0:
            return
        by_age = sorted(self._listed, key=lambda name: self._order.get(name, -1))
        surplus = [name for name in by_age[:n_surplus] if name in numbered or not keeps_all]
        self.reader.delete(name for name in surplus if durable(name))


def _tell_lack(text: str) -> None:
    emit(Incident(what="missing targets", text=text))
