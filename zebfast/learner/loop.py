"""The learner from top to bottom: ingest, wait or train, tell, save, publish, evaluate, prune.

Reading files and publishing go on in threads of their own; what they have done is taken in between
steps. What must be saved before what is said in ``saving``.
"""

from __future__ import annotations

import math
import socket
import time
from contextlib import ExitStack

from zebfast.exchange import ExchangeError, Say, open_weights
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.ingest import IngestReport
from zebfast.learner.evaluation import evaluate
from zebfast.learner.recipe_run import follower
from zebfast.learner.session import (
    Account,
    Journal,
    Saver,
    Session,
    Stopped,
    close_session,
    open_session,
    until_reached,
)
from zebfast.learner.train.trainer import TrainReport, merge_reports
from zebfast.system.signals import StopFlag

_LAST_LOOK_SECONDS = 5.0
_NAP_SECONDS = 0.1


def learn(config: LearnerConfig, *, say: Say) -> int:
    """Run a learner until it is told to stop. Returns the exit code (0, 130 or 143).

    Args:
        config: what to do.
        say: takes every line of the log.

    Raises:
        ExchangeError and its kinds, OSError: one sentence; what was saved before stays whole.
    """
    store = open_weights(config.weights, config.namespace, options=config.stores, say=say)
    with StopFlag() as stop, ExitStack() as held:

        def hold() -> None:
            owner = socket.gethostname()
            held.enter_context(store.hold(owner, take_over=config.take_over))

        try:
            until_reached(hold, stop, retry_seconds=config.stores.retry_seconds, say=say)
            session = open_session(config, store, stop, say=say)
        except Stopped:
            return stop.exit_code
        try:
            learner = Learner(session, stop)
            held.callback(learner.recipe.close)
            learner.run()
        finally:
            close_session(session, seconds=config.last_push_seconds)
    return stop.exit_code


class Learner:
    """One run over an open session."""

    def __init__(self, session: Session, stop: StopFlag) -> None:
        self.session = session
        self.config = session.config
        self.stop = stop
        self.account = Account(session)
        self.journal = Journal(session, self.account)
        self.saver = Saver(session, self.account)
        self.recipe = follower(session, self.account, self.journal, self.saver)
        self._started = self._last_new = time.monotonic()
        self._renewed = -math.inf
        self._cycles_done = 0
        self._reports: list[TrainReport] = []  # of the cycle at hand
        self._fatal: Exception | None = None

    def run(self) -> None:
        """The whole life of the learner."""
        if self.session.is_ahead:
            self.saver.publish()
        self._wait_for_look(1)  # so that the first step is the same however fast files are read
        while not self._should_stop() and not self._is_done():
            self._between_steps()
            self.recipe.between_cycles(self._should_stop)
            waiting, n_steps = self._reason_to_wait(), self._steps_to_take()
            self.journal.waiting(waiting)
            if waiting or not n_steps:
                self._adopt(wait=_NAP_SECONDS)
                continue
            report = self._train(n_steps)
            # A stop that comes before the first step leaves the last cycle the last one.
            if report.n_steps and self.session.progress.steps_into_cycle == 0:
                self._finish_cycle()
        self._finish_recipe()
        # What workers handed over before this end is counted by it, if it does not take long.
        self._wait_for_look(self.session.ingestor.reader.request_look(), _LAST_LOOK_SECONDS)
        self._raise_fatal()
        self._save_and_publish_rest()

    def _between_steps(self) -> None:
        """What the threads have done since, and a sign of life for those who watch the state."""
        self._adopt()
        self._hear_publisher()
        self.recipe.tick()
        now = time.monotonic()
        if now - self._renewed > self.config.heartbeat_seconds:
            self._renewed = now
            self.session.publisher.renew(self.account.renewal())

    def _adopt(self, wait: float = 0.0) -> int:
        """Take in what has been read; the number of the look that has ended with it, or 0."""
        report = self.session.ingestor.adopt(wait)
        self._fatal = self._fatal or report.failed
        if report.n_files:
            self.saver.note_change(of_weights=False)
        if report.n_examples or report.eval_aux_kept:
            self._last_new = time.monotonic()
        self.journal.taken(report, look_done=bool(report.look_done))
        return report.look_done

    def _wait_for_look(self, number: int, seconds: float = math.inf) -> None:
        """Take in files until a look has answered ``number``; without a limit, until a stop."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._fatal is None:
            if self._adopt(wait=_NAP_SECONDS) >= number:
                break
            if seconds == math.inf and self._should_stop():
                break

    def _hear_publisher(self) -> None:
        outcome = self.session.publisher.outcome()
        for line in outcome.lines:
            self.journal.problem(line)
        self.saver.note_outcome(outcome)
        if outcome.published is not None:
            self._renewed = time.monotonic()
        self._fatal = self._fatal or outcome.error

    def _reason_to_wait(self) -> str | None:
        if self.recipe.has_all_games:
            return None  # nobody makes more
        held = len(self.session.sources.selfplay)
        wanted = max(1, self.config.training.min_buffer_size)
        if held < wanted:
            return f"Buffer {held}/{wanted} — waiting for workers..."
        age, limit = time.monotonic() - self._last_new, self.config.max_example_age
        if limit and age > limit:
            return f"No new examples for over {limit:g} s: training paused, waiting for workers..."
        return None

    def _steps_to_take(self) -> int:
        """The rest of the cycle, or what a recipe allows of it."""
        wanted = self.config.training.training_steps_per_cycle
        rest = max(1, wanted - self.session.progress.steps_into_cycle)
        return self.recipe.n_steps(rest)

    def _train(self, n_steps: int) -> TrainReport:
        """The rest of the current cycle, or as much of it as there is time for."""
        progress = self.session.progress
        wanted = self.config.training.training_steps_per_cycle
        report = self.session.trainer.train(
            self.session.sources,
            n_steps=n_steps,
            should_stop=self._should_pause,
            between=self._between_steps,
        )
        report.require_numbers(cycle=progress.step + 1, lr=self.config.recipe.stages[0].lr)
        if report.n_steps:
            self.saver.note_change(of_weights=True)
            self._reports.append(report)
        progress.steps_into_cycle += report.n_steps
        if progress.steps_into_cycle >= wanted:
            progress.steps_into_cycle = 0
            progress.step += 1
        return report

    def _finish_cycle(self) -> None:
        config, step = self.config, self.session.progress.step
        self._cycles_done += 1
        self.journal.cycle(step, merge_reports(self._reports))
        self._reports = []
        if step % config.replay_cache_save_every == 0:
            self.saver.save_replay()
        if step % config.training.push_every == 0:
            self.saver.publish()
        elif step % config.checkpoint_every == 0:
            self.saver.save_checkpoint()
        if self.session.keeper.is_due(step):
            self.saver.snapshot()
        if config.eval_every and step % config.eval_every == 0:
            self.journal.evaluation(step, evaluate(self.session.trainer, config))
        self.saver.prune(config.keep_example_files)

    def _finish_recipe(self) -> None:
        """At the end of a recipe, close its last cycle and take the last look."""
        progress = self.session.progress
        if not self.recipe.is_done or self._should_stop():
            return
        if self._reports:
            progress.step, progress.steps_into_cycle = progress.step + 1, 0
            self._finish_cycle()
        self.recipe.last_look(self._should_stop)

    def _raise_fatal(self) -> None:
        """End with what ended one of the threads, keeping what has been trained if that can be."""
        if self._fatal is None:
            return
        if isinstance(self._fatal, ExchangeError) and self.saver.unsaved:
            self.saver.save_checkpoint()
        raise self._fatal

    def _save_and_publish_rest(self) -> None:
        self.journal.taken(IngestReport(), look_done=True)
        self.saver.save_replay()
        self.account.running = False
        if self.saver.unsaved or self.saver.unpublished:
            self.saver.publish()
        else:
            self.session.publisher.renew(self.account.renewal())
        if not self.session.publisher.finish(self.config.last_push_seconds):
            self.session.say(
                "  the last weights are not published yet; the same command does it first of all"
            )
        self._hear_publisher()
        if self.session.keeper.is_used and self.saver.unkept:
            self.saver.snapshot()
        self.session.keeper.finish()
        self._raise_fatal()
        self.saver.prune(self.config.keep_example_files)
        progress = self.session.progress
        self.session.say(
            self.recipe.last_line()
            or f"Stopped after cycle {progress.step} ({progress.total_games:,} games); the same "
            "command continues"
        )

    def _should_stop(self) -> bool:
        limit = self.config.max_minutes
        out_of_time = limit is not None and time.monotonic() - self._started > 60 * limit
        return self.stop() or out_of_time or self._fatal is not None

    def _should_pause(self) -> bool:
        """Is training to end before its time, for a stop or for what a new stage brings?"""
        return self._should_stop() or self.recipe.has_news

    def _is_done(self) -> bool:
        limit = self.config.max_cycles
        return self.recipe.is_done or (limit is not None and self._cycles_done >= limit)
