"""Everything a run tells while it goes on: lines of the log, rows of the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping

from zebfast.arena.stats import MatchResult
from zebfast.learner.account import Account
from zebfast.learner.course import CourseProgress
from zebfast.learner.ingest import IngestReport
from zebfast.learner.looks import Look
from zebfast.learner.metrics import Row
from zebfast.learner.report import (
    Tally,
    cycle_line,
    cycle_row,
    evaluation_line,
    evaluation_row,
    ingest_line,
    look_line,
    look_row,
)
from zebfast.learner.reuse import ReuseGuard
from zebfast.learner.startup import Session
from zebfast.learner.train_report import TrainReport
from zebfast.selfplay.examples import PLAY_VALUE_SOURCES

_LONG_LOOK_SECONDS = 10.0


class Journal:
    """Tells the session's log and sinks, and notes for the account what others should know."""

    def __init__(self, session: Session, account: Account) -> None:
        self._session = session
        self._account = account
        self._tally = Tally()
        self._reuse = ReuseGuard(session.config.max_reuse)
        self._taken = IngestReport()
        self._taken_since = self._cycle_began = time.monotonic()

    def problem(self, line: str) -> None:
        self._session.say(line)
        self._account.note_problem(line)

    def waiting(self, line: str | None) -> None:
        """Why training waits now; said when it changes, not at every look."""
        if line and line != self._account.waiting:
            self._session.say(line)
        self._account.waiting = line

    def taken(self, report: IngestReport, *, look_done: bool) -> None:
        """Files were taken in: one line a look, and one every few seconds of a long one."""
        for line in report.problems:
            self.problem(line)
        now = time.monotonic()
        self._tally.add(report)
        self._taken.add(report)
        if not self._taken.n_files:
            self._taken_since = now
        elif look_done or now - self._taken_since > _LONG_LOOK_SECONDS:
            sources = self._session.sources
            n_eval_aux = len(sources.eval_aux) if sources.config.enabled else 0
            self._session.say(ingest_line(self._taken, len(sources.selfplay), n_eval_aux or None))
            self._taken, self._taken_since = IngestReport(), now

    def cycle(self, step: int, report: TrainReport) -> None:
        """A cycle has ended; what was told of time and files since the one before begins anew."""
        now = time.monotonic()
        share = report.seconds / max(now - self._cycle_began, report.seconds, 1e-9)
        self._cycle_began = now
        standing = self._account.standing(report, share)
        self._session.say(cycle_line(step, report, standing))
        self._log(cycle_row(report, standing, self._tally) | self._course_row())
        self._tally = Tally()
        self._account.note_cycle(report)
        sources = self._session.sources
        for name, replay in (("self-play", sources.selfplay), ("eval-aux", sources.eval_aux)):
            if warning := self._reuse.check(name, replay):
                self.problem(warning)

    def evaluation(self, step: int, results: Mapping[str, MatchResult]) -> None:
        self._session.say(evaluation_line(step, results))
        self._log(evaluation_row(results, self._session.progress.total_games))

    def look(self, step: int, number: int, look: Look, course: CourseProgress) -> None:
        """A look of a run with a recipe; ``course`` knows the best network before it."""
        self._session.say(look_line(step, look, course))
        row = look_row(look, number, self._session.progress.total_games)
        self._log(row | self._course_row())

    def _course_row(self) -> Row:
        course, streams = self._session.course, self._session.progress.streams
        if course is None:
            return {}
        taught = (streams.sources.get(source) for source in PLAY_VALUE_SOURCES)
        return {
            "stats/minutes": round(course.saved.minutes, 3),
            "stats/stage": course.saved.stage,
            "stats/labels": sum(found["examples"] for found in taught if found is not None),
        }

    def _log(self, row: Row) -> None:
        for sink in self._session.sinks:
            sink.log(self._session.progress.step, row)
