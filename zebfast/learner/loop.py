"""The learner from top to bottom: ingest, wait or train, tell, save, publish, evaluate, prune.

Reading files and publishing go on in threads of their own; what they have done is taken in between
steps. What must be saved before what is said in ``checkpoints``.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from contextlib import ExitStack

from zebfast.exchange import open_weights, until_reached
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.ingest import IngestReport
from zebfast.learner.follower import follow
from zebfast.learner.ranks.group import TorchGroup
from zebfast.learner.ranks.leader import Leader
from zebfast.learner.ranks.place import RANK_LOST, RankLost, RankPlace
from zebfast.learner.session import Session, open_session
from zebfast.learner.train.trainer import TrainingDiverged, TrainReport, merge_reports
from zebfast.net.torch.runtime import use_threads
from zebfast.system.events import Incident, emit
from zebfast.system.signals import ECHO_SECONDS, StopFlag, Stopped

_LOG = logging.getLogger(__name__)
_LAST_SCAN_SECONDS = 5.0
_NAP_SECONDS = 0.1
_GO_BACK = 3  # divergences between two looks after which the best network is no help


def learn(
    config: LearnerConfig, *, threads: int | None = None, place: RankPlace | None = None
) -> int:
    """Run a learner until it is told to stop, or its recipe is done.

    What happens is told in events (``system.events``), ordinary messages are logged. ``threads``:
    of torch on the CPU; None leaves them as they are. ``place``: among the ranks that share the
    training, each of which calls this; None = there is only this process.

    Returns:
        The exit code: 0, 129, 130 or 143; RANK_LOST where another rank has ended.

    Raises:
        ExchangeError and its kinds, OSError: one sentence; what was saved before stays whole.
    """
    if threads is not None:
        use_threads(threads)
    try:
        if place is not None and place.rank:
            return follow(config, place, timeout=config.rank_timeout)
        return _lead(config, place)
    except RankLost as error:
        _LOG.error(str(error))
        return RANK_LOST


def _lead(config: LearnerConfig, place: RankPlace | None) -> int:
    """The learner itself. The other ranks end with it."""
    store = open_weights(config.weights, config.namespace, options=config.stores)
    # One of several has somebody who passes on what stops all of them.
    echo = 0.0 if place is None else ECHO_SECONDS
    with StopFlag(echo=echo) as stop, ExitStack() as held:
        leader = None
        if place is not None:
            group = TorchGroup(place, device=config.device, timeout=config.rank_timeout)
            leader = Leader(group, place, timeout=config.rank_timeout)
            held.callback(leader.close)
            if place.before:
                text = f"  {place.before}: all began anew from what was saved last"
                emit(Incident(what="restart", text=text))

        def hold() -> None:
            owner = socket.gethostname()
            held.enter_context(store.hold(owner, take_over=config.take_over))

        try:
            until_reached(hold, stop, retry_seconds=config.stores.retry_seconds)
            session = open_session(config, store, stop, leader)
        except Stopped:
            return stop.exit_code
        held.callback(session.close)
        Learner(session, stop).run()
    return stop.exit_code


class Learner:
    """One run over an open session."""

    def __init__(self, session: Session, stop: StopFlag) -> None:
        self._stop = stop
        self._config, self._run_log = session.config, session.run_log
        self._leader = session.leader
        self._progress, self._mixture = session.progress, session.mixture
        self._trainer, self._schedule = session.trainer, session.schedule
        self._ingestor, self._publisher = session.ingestor, session.publisher
        self._checkpoints, self._gatekeeper = session.checkpoints, session.gatekeeper
        self._producer = session.schedule.producer  # that workers have been told of
        self._started = self._last_new = time.monotonic()
        self._cycles_done = 0
        self._reports: list[TrainReport] = []  # of the cycle at hand
        self._went_back = 0  # since the last look at the network
        session.patience.is_ending = self._should_stop

    def run(self) -> None:
        """The whole life of the learner. Whatever ends it, what it has trained is saved first."""
        try:
            self._live()
        except TrainingDiverged:
            raise  # the checkpoint before stays
        except Exception:
            self._checkpoints.rescue()
            raise

    def _live(self) -> None:
        if self._checkpoints.unpublished:
            self._checkpoints.publish()
        self._wait_for_scan(1)  # so that the first step is the same however fast files are read
        while not self._should_stop() and not self._is_done():
            self._between_steps()
            self._follow_schedule()
            left = self._config.training.training_steps_per_cycle - self._progress.steps_into_cycle
            n_steps = 0 if self._must_wait() else self._schedule.steps_now(max(1, left))
            if not n_steps:
                self._ingest(wait=_NAP_SECONDS)
                continue
            # A stop that comes before the first step leaves the last cycle the last one.
            if self._train(n_steps) and self._progress.steps_into_cycle == 0:
                self._finish_cycle()
        self._finish_recipe()
        # What workers handed over before this end is counted by it, if it does not take long.
        self._wait_for_scan(self._ingestor.reader.request_scan(), _LAST_SCAN_SECONDS)
        self._end()

    def _between_steps(self) -> None:
        """What the threads have done since."""
        self._ingest()
        self._checkpoints.attend_publisher()
        self._schedule.tick()

    def _ingest(self, wait: float = 0.0) -> int:
        """Take in what has been read; the number of the scan that has ended with it, or 0."""
        report = self._ingestor.adopt(wait)
        if report.files:
            self._checkpoints.note_change(of_weights=False)
        if report.examples or report.eval_aux_kept:
            self._last_new = time.monotonic()
        self._run_log.ingested(report)
        return report.scan_done

    def _wait_for_scan(self, number: int, seconds: float = math.inf) -> None:
        """Take in files until a scan has answered ``number``; without a limit, until a stop."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._failure is None:
            found = self._ingest(wait=_NAP_SECONDS) >= number
            if found or (seconds == math.inf and self._should_stop()):
                break

    def _follow_schedule(self) -> None:
        """Publish that a stage has begun; see how strong the network is where that is due."""
        if self._schedule.stage_changed:
            self._schedule.stage_changed = False
            # Before the checkpoint: else a kill would leave examples that the stage has dropped.
            self._checkpoints.save_replay()
            self._checkpoints.publish()
        elif self._producer != self._schedule.producer:
            self._checkpoints.renew()
        self._producer = self._schedule.producer
        if self._gatekeeper.is_due:
            self._gatekeeper.choose(self._should_stop)
            self._went_back = 0

    def _must_wait(self) -> bool:
        """Is there too little to train on now? Tells why."""
        held, wanted = len(self._mixture.selfplay), max(1, self._config.training.min_buffer_size)
        age, limit = time.monotonic() - self._last_new, self._config.max_example_age
        if self._schedule.has_all_games:
            self._run_log.waiting("")  # nobody makes more
        elif held < wanted:
            text = f"Buffer {held}/{wanted} — waiting for workers..."
            self._run_log.waiting("examples", text)
            return True
        elif limit and age > limit:
            text = f"No new examples for over {limit:g} s: training paused, waiting for workers..."
            self._run_log.waiting("fresh examples", text)
            return True
        self._run_log.waiting("")
        return False

    def _train(self, n_steps: int) -> int:
        """The rest of the current cycle, or as much of it as there is time for; steps that count.

        Raises TrainingDiverged.
        """
        progress = self._progress
        self._trainer.batch_size = self._schedule.stage.batch_size
        report = self._trainer.train(
            self._mixture,
            n_steps=n_steps,
            should_stop=lambda: self._should_stop() or self._schedule.stage_changed,
            between=self._between_steps,
        )
        divergence = report.divergence or self._trainer.divergence
        if divergence is not None:
            self._go_back(divergence)
            return 0
        if report.n_steps:
            self._checkpoints.note_change(of_weights=True)
            self._reports.append(report)
        progress.steps_into_cycle += report.n_steps
        if progress.steps_into_cycle >= self._config.training.training_steps_per_cycle:
            progress.steps_into_cycle = 0
            progress.step += 1
        return report.n_steps

    def _go_back(self, divergence: str) -> None:
        """Go on from the best network of a recipe.

        Raises TrainingDiverged where there is none, or where that was no help.
        """
        stage, cycle = self._schedule.stage, self._progress.step + 1
        text = f"{divergence} in cycle {cycle}, at a learning rate of up to {stage.lr:g}"
        self._reports = []
        self._went_back += 1
        best = self._gatekeeper.go_back() if self._went_back <= _GO_BACK else None
        if best is None:
            lr = "--lr" if self._config.recipe.is_endless else f"lr of stage {stage.name!r}"
            raise TrainingDiverged(
                f"{text}: nothing of it was saved, and the checkpoint before is untouched; the "
                f"same command with a lower {lr} than {stage.lr:g} goes on from it (further back: "
                "zebfast experiment revert NAME --to FILE)"
            )
        text = f"  {text}: going on from the best network, of cycle {best}"
        emit(Incident(what="diverged", text=text))

    def _finish_cycle(self) -> None:
        self._cycles_done += 1
        self._run_log.cycle(merge_reports(self._reports), self._trainer.optimizer_steps)
        self._reports = []
        self._checkpoints.after_cycle()
        self._gatekeeper.after_cycle(self._should_stop)
        self._checkpoints.prune()

    def _finish_recipe(self) -> None:
        """At the end of a recipe, close its last cycle and choose for the last time."""
        progress = self._progress
        if not self._schedule.is_done or self._should_stop():
            return
        if self._reports:
            progress.step, progress.steps_into_cycle = progress.step + 1, 0
            self._finish_cycle()
        if not self._schedule.saved.finished:
            self._gatekeeper.choose(self._should_stop, last=True)

    def _end(self) -> None:
        """Leave everything in order and say how the run stands; or end with what ended a thread."""
        if self._failure is None:
            self._run_log.ingested(IngestReport(), flush=True)
            self._checkpoints.settle()
        if self._failure is not None:
            raise self._failure
        self._checkpoints.prune()
        progress = self._progress
        _LOG.info(
            self._schedule.last_words()
            or f"Stopped after cycle {progress.step} ({progress.total_games:,} games); the same "
            "command continues"
        )

    @property
    def _failure(self) -> Exception | None:
        """What has ended a thread before its time, or another rank."""
        lost = None if self._leader is None else self._leader.error
        return lost or self._ingestor.reader.error or self._publisher.error

    def _should_stop(self) -> bool:
        limit = self._config.max_minutes
        out_of_time = limit is not None and time.monotonic() - self._started > 60 * limit
        return self._stop() or out_of_time or self._failure is not None

    def _is_done(self) -> bool:
        limit = self._config.max_cycles
        return self._schedule.is_done or (limit is not None and self._cycles_done >= limit)
