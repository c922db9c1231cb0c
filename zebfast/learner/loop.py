"""The learner from top to bottom: ingest, wait or train, tell, save, publish, evaluate, prune.

Order matters. The checkpoint is saved before weights are published, so published weights always
have a checkpoint at least as new; example files are deleted only when the checkpoint counts them
and the saved replay buffer holds them. A process killed anywhere loses at most the cycle it was in.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable

from zebfast.exchange import ExchangeError, TransientError, open_weights
from zebfast.learner.checkpoint import Checkpoint, save_checkpoint
from zebfast.learner.config import LearnerConfig
from zebfast.learner.evaluate import evaluate
from zebfast.learner.ingest import IngestReport
from zebfast.learner.report import (
    Tally,
    cycle_line,
    cycle_row,
    evaluation_line,
    evaluation_row,
    ingest_line,
)
from zebfast.learner.startup import Say, Session, open_session
from zebfast.learner.trainer import TrainReport
from zebfast.system.signals import StopFlag

_LAST_LOOK_SECONDS = 5.0


class TrainingDiverged(ExchangeError):
    """The losses are no longer numbers; nothing of that cycle was saved or published."""


def learn(config: LearnerConfig, *, say: Say) -> int:
    """Run a learner until it is told to stop. Returns the exit code (0, 130 or 143).

    Args:
        config: what to do.
        say: takes every line of the log.

    Raises:
        ExchangeError and its kinds, OSError: one sentence; what was saved before stays whole.
    """
    store = open_weights(config.weights, config.namespace, options=config.stores, say=say)
    with StopFlag() as stop, store.hold(socket.gethostname()):
        learner = Learner(open_session(config, store, say=say), stop)
        try:
            learner.run()
        finally:
            for sink in learner.session.sinks:
                sink.close()
    return stop.exit_code


class Learner:
    """One run over an open session."""

    def __init__(self, session: Session, stop: StopFlag) -> None:
        self.session = session
        self.config = session.config
        self.stop = stop
        self.tally = Tally()
        self._started = self._last_new = time.monotonic()
        self._cycles_done = 0
        self._said: str | None = None
        self._saved_ledger: frozenset[str] = frozenset()
        self._saved_replay: frozenset[str] = frozenset(session.ingestor.held)
        self._unpublished = False
        self._unsaved = False

    def run(self) -> None:
        """The whole life of the learner."""
        while not self._should_stop() and not self._cycles_are_done():
            self._ingest(self._should_stop)
            waiting = self._reason_to_wait()
            if waiting:
                self._say_once(waiting)
                self.stop.wait(self.config.poll_seconds)
                continue
            self._said = None
            report = self._train()
            # A stop that comes before the first step leaves the last cycle the last one.
            if report.n_steps and self.session.progress.steps_into_cycle == 0:
                self._finish_cycle(report)
        self._save_and_publish_rest()

    def _ingest(self, should_stop: Callable[[], bool]) -> None:
        try:
            report = self.session.ingestor.ingest(should_stop=should_stop)
        except TransientError as error:
            self.session.say(f"  ingest error (skipping): {error}")
            return
        self._note_ingested(report)

    def _note_ingested(self, report: IngestReport) -> None:
        for problem in report.problems:
            self.session.say(problem)
        self.tally.add(report)
        if report.n_files:
            self._last_new = time.monotonic()
            self._unsaved = True
            self.session.say(ingest_line(report, len(self.session.replay)))

    def _reason_to_wait(self) -> str | None:
        held, wanted = len(self.session.replay), max(1, self.config.min_buffer_size)
        if held < wanted:
            return f"Buffer {held}/{wanted} — waiting for workers..."
        age, limit = time.monotonic() - self._last_new, self.config.max_example_age
        if limit and age > limit:
            return f"No new examples for over {limit:g} s: training paused, waiting for workers..."
        return None

    def _train(self) -> TrainReport:
        """The rest of the current cycle, or as much of it as there is time for."""
        progress = self.session.progress
        wanted = self.config.training_steps_per_cycle
        report = self.session.trainer.train(
            self.session.replay,
            n_steps=max(1, wanted - progress.steps_into_cycle),
            should_stop=self._should_stop,
        )
        for name in ("policy_loss", "value_loss"):
            if not math.isfinite(report.means[name]):
                raise TrainingDiverged(
                    f"{name} became {report.means[name]} in cycle {progress.step + 1}: the last "
                    f"checkpoint is untouched; restart with a lower --lr than {self.config.lr:g}"
                )
        self._unsaved = self._unsaved or report.n_steps > 0
        self._unpublished = self._unpublished or report.n_steps > 0
        progress.steps_into_cycle += report.n_steps
        if progress.steps_into_cycle >= wanted:
            progress.steps_into_cycle = 0
            progress.step += 1
        return report

    def _finish_cycle(self, report: TrainReport) -> None:
        session, step = self.session, self.session.progress.step
        self._cycles_done += 1
        session.say(cycle_line(step, report, len(session.replay), session.progress.total_games))
        self._log(cycle_row(report, session, self.tally))
        self.tally = Tally()
        if step % self.config.checkpoint_every == 0:
            self._save_checkpoint()
        if step % self.config.replay_cache_save_every == 0:
            self._save_replay()
        if step % self.config.push_every == 0:
            self._publish()
        if self.config.eval_every and step % self.config.eval_every == 0:
            results = evaluate(session.trainer.net, self.config)
            session.say(evaluation_line(step, results))
            self._log(evaluation_row(results))
        self._prune()

    def _log(self, row: dict[str, float | int | None]) -> None:
        for sink in self.session.sinks:
            sink.log(self.session.progress.step, row)

    def _save_checkpoint(self) -> None:
        session = self.session
        checkpoint = Checkpoint(
            session.progress,
            session.trainer.net.state_dict(),
            session.trainer.net.config.to_dict(),
            session.trainer.state(),
        )
        save_checkpoint(session.checkpoint_path, checkpoint)
        self._saved_ledger = frozenset(session.progress.ledger)
        self._unsaved = False

    def _save_replay(self) -> None:
        cache, held = self.session.cache, frozenset(self.session.ingestor.held)
        if cache is not None and held != self._saved_replay:
            cache.save(self.session.replay, set(held))
            self._saved_replay = held

    def _publish(self) -> None:
        """Publish the present weights; a transient failure is said and tried again later."""
        if self._unsaved:
            self._save_checkpoint()
        session, progress = self.session, self.session.progress
        state = {
            "step": progress.step,
            "total_games": progress.total_games,
            "wandb_run_id": progress.wandb_run_id,
            "lineage": progress.lineage,
            "optimizer_steps": session.trainer.optimizer_steps,
            "ingested": sorted(progress.ledger),
        }
        net = session.trainer.net
        try:
            written = session.store.publish(net.state_dict(), net.config.to_dict(), state)
        except TransientError as error:
            session.say(f"  push error (will retry): {error}")
            return
        progress.published_sha256 = written["weights_sha256"]
        self._unpublished = False

    def _prune(self) -> None:
        """Delete surplus example files, but only those that a crash could no longer lose."""
        keep = self.config.keep_example_files
        if keep:
            self.session.ingestor.prune(keep=keep, durable=self._is_durable)

    def _is_durable(self, name: str) -> bool:
        in_replay = self.session.cache is None or name in self._saved_replay
        return in_replay and name in self._saved_ledger

    def _save_and_publish_rest(self) -> None:
        # What workers handed over before this end is counted by it, if it does not take long.
        deadline = time.monotonic() + _LAST_LOOK_SECONDS
        self._ingest(lambda: time.monotonic() > deadline)
        if self._unsaved:
            self._save_checkpoint()
            self._unpublished = True
        self._save_replay()
        if self._unpublished:
            self._publish()
        progress = self.session.progress
        self.session.say(
            f"Stopped after cycle {progress.step} ({progress.total_games:,} games); the same "
            "command continues"
        )

    def _should_stop(self) -> bool:
        limit = self.config.max_minutes
        out_of_time = limit is not None and time.monotonic() - self._started > 60 * limit
        return self.stop() or out_of_time

    def _cycles_are_done(self) -> bool:
        return self.config.max_cycles is not None and self._cycles_done >= self.config.max_cycles

    def _say_once(self, line: str) -> None:
        """Say a waiting line when it changes, not at every look."""
        if line != self._said:
            self.session.say(line)
            self._said = line
