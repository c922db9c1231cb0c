"""How a learner run begins: the parts of a session, put together around what it continues from."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from zebfast.arena.stats import MatchResult
from zebfast.exchange import Say, StateDict, TransientError, Weights, WeightStore, open_examples
from zebfast.exchange.mirror.mirror import Mirror
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.ingest import Ingestor, IngestReport
from zebfast.learner.data.mixture import Sources
from zebfast.learner.data.reader import ExampleReader, Pace
from zebfast.learner.data.replay import ReplayCache, ReuseGuard
from zebfast.learner.evaluation import Look
from zebfast.learner.metrics import JsonlMetrics, MetricsSink, Row
from zebfast.learner.publisher import Outcome, Publisher, Snapshot
from zebfast.learner.report import (
    Standing,
    Tally,
    cycle_line,
    cycle_row,
    evaluation_line,
    evaluation_row,
    ingest_line,
    look_line,
    look_row,
)
from zebfast.learner.resume import (
    StartError,
    bring_newest_state,
    build_net,
    continuation,
    counted_state,
    load_bootstrap,
    published_ledger,
    published_weights,
)
from zebfast.learner.schedule import Course
from zebfast.learner.snapshots import Keeper, mirror_of
from zebfast.learner.state import (
    Checkpoint,
    CourseProgress,
    Progress,
    fingerprint,
    load_checkpoint,
    save_checkpoint,
)
from zebfast.learner.train.trainer import Trainer, TrainReport
from zebfast.learner.wandb import WandbMetrics
from zebfast.net.networks import n_parameters
from zebfast.net.v2 import V2Net
from zebfast.selfplay.examples import PLAY_VALUE_SOURCES
from zebfast.system.signals import StopFlag

__all__ = [
    "Session",
    "StartError",
    "Stopped",
    "open_session",
    "until_reached",
]

_MAX_PAUSE_SECONDS = 60.0
_T = TypeVar("_T")


class Stopped(Exception):
    """A stop was asked for before the session was there."""


@dataclass
class Session:
    """Everything a running learner holds.

    ``course`` is that of a recipe, and ``best`` the best weights so far; None without one.
    """

    config: LearnerConfig
    store: WeightStore
    trainer: Trainer
    sources: Sources
    ingestor: Ingestor
    publisher: Publisher
    progress: Progress
    published: Weights
    cache: ReplayCache | None
    keeper: Keeper
    sinks: list[MetricsSink]
    wandb_url: str | None
    say: Say
    course: Course | None
    best: StateDict | None

    @property
    def is_ahead(self) -> bool:
        """Was it ended before it could publish what it had trained?"""
        return self.progress.step > self.published.step


def until_reached(
    action: Callable[[], _T], stop: StopFlag, *, retry_seconds: float, say: Say
) -> _T:
    """``action()``, tried again for as long as it fails for a passing reason.

    Raises:
        Stopped: by the user, between two tries; and what else ``action`` raises.
    """
    pause = retry_seconds
    while not stop():
        try:
            return action()
        except TransientError as error:
            say(f"  cannot start yet, trying again in {pause:.0f} s: {error}")
        stop.wait(pause)
        pause = min(_MAX_PAUSE_SECONDS, 2 * pause)
    raise Stopped


def open_session(config: LearnerConfig, store: WeightStore, stop: StopFlag, *, say: Say) -> Session:
    """Bootstrap or continue ``config.namespace``, which the caller holds in ``store``.

    The session's threads run from here on: ``close_session`` ends them.

    Raises:
        StartError, ExchangeError, CheckpointError, WandbError: one sentence each; Stopped.
    """
    bootstrap = load_bootstrap(config, say=say)
    mirror = mirror_of(config, say=say)

    def reach() -> Weights:
        bring_newest_state(config, store, mirror, bootstrap, say=say)
        weights = published_weights(config, store, bootstrap, say=say)
        if mirror is not None:
            with suppress(TransientError):  # it is looked at again before anything is sent
                mirror.refuse_foreign(weights.state["lineage"])
        return weights

    weights = until_reached(reach, stop, retry_seconds=config.stores.retry_seconds, say=say)
    path = config.checkpoint_path
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = load_checkpoint(path)
    found = continuation(saved, weights, path, say)
    net = build_net(
        weights.config, found.weights, source=f"{store.label}/{config.namespace.weights_file}"
    )
    trainer = Trainer(net, config)
    if found.trainer is not None:
        trainer.load_state(found.trainer)
    trainer.optimizer_steps = found.optimizer_steps
    say(f"  Model: {n_parameters(net):,} parameters on {config.device}")
    if config.training.amp and trainer.half is None:
        say(f"  --amp {config.amp_dtype} does not help this network on this CPU: training in fp32")
    session = _assemble(config, store, trainer, found.progress, weights, mirror, say)
    if saved is not None and found.trainer is not None:  # it is this run's, and of this network
        session.best = saved.best
    return session


def _assemble(
    config: LearnerConfig,
    store: WeightStore,
    trainer: Trainer,
    progress: Progress,
    weights: Weights,
    mirror: Mirror | None,
    say: Say,
) -> Session:
    sources = Sources(config)
    cache, held = _restore_replay(config, progress, sources, say)
    is_led = config.recipe.is_endless
    course = None if is_led else Course(config.recipe, progress, sources, say)
    if course is not None:
        trainer.schedule = course.rate
    sinks, wandb_url = _open_sinks(config, progress, weights, say)
    examples = open_examples(config.examples, config.namespace, options=config.stores, say=say)
    reader = ExampleReader(
        examples,
        known=progress.ledger & held,
        # Not the tokenizer: examples are games, from which any network is taught.
        expected={"weights_name": config.namespace.stem},
        pace=Pace(
            poll_seconds=config.poll_seconds,
            prune_seconds=config.prune_seconds,
            squash_after=config.squash_after,
        ),
    )
    publisher = Publisher(
        store,
        push_seconds=config.push_seconds,
        retry_seconds=config.stores.retry_seconds,
        squash_after=config.squash_after,
    )
    return Session(
        config=config,
        store=store,
        trainer=trainer,
        sources=sources,
        ingestor=Ingestor(
            reader,
            sources,
            progress,
            held=held,
            has_belief_head=trainer.net.belief_proj is not None,
            has_points_head=isinstance(trainer.net, V2Net),
            course=course,
        ),
        publisher=publisher,
        progress=progress,
        published=weights,
        cache=cache,
        keeper=Keeper(config, progress.lineage, mirror, say=say),
        sinks=sinks,
        wandb_url=wandb_url,
        say=say,
        course=course,
        best=None,
    )


def close_session(session: Session, *, seconds: float) -> None:
    """End the threads and close the sinks; each may take so long."""
    deadline = time.monotonic() + seconds
    session.publisher.close(seconds)
    session.ingestor.reader.close(max(0.0, deadline - time.monotonic()))
    session.keeper.close(max(0.0, deadline - time.monotonic()))
    for sink in session.sinks:
        sink.close()


def _restore_replay(
    config: LearnerConfig, progress: Progress, sources: Sources, say: Say
) -> tuple[ReplayCache | None, set[str]]:
    """The cache, if it is used, and the files whose examples it gave back."""
    if not config.replay_cache:
        return None, set()
    cache = ReplayCache(config.replay_path(progress.lineage), progress.lineage)
    held = cache.load(sources.selfplay, sources.eval_aux) or set()
    if held:
        replay, n_eval_aux = sources.selfplay, len(sources.eval_aux)
        eval_aux = f" and {n_eval_aux:,} eval_aux ones" if n_eval_aux else ""
        say(
            f"Replay buffer (local cache): {len(replay):,}/{replay.capacity:,} examples"
            f"{eval_aux} from {len(held)} files"
        )
    return cache, held


def _open_sinks(
    config: LearnerConfig, progress: Progress, weights: Weights, say: Say
) -> tuple[list[MetricsSink], str | None]:
    """Where rows of metrics go, and the address of the W&B run where there is one."""
    looks = progress.course.looks if progress.course else 0
    local = JsonlMetrics(config.metrics_path, last_step=progress.step, last_look=looks)
    if not config.wandb:
        return [local], None
    sink = _open_wandb(config, progress, weights, say)
    return [local, sink], sink.url


def _open_wandb(
    config: LearnerConfig, progress: Progress, weights: Weights, say: Say
) -> WandbMetrics:
    sink = WandbMetrics(
        project=config.wandb_project,
        name=config.run_name,
        run_id=weights.state.get("wandb_run_id") or progress.wandb_run_id,
        config=config.to_json(),
        directory=config.stores.state_dir,
        metrics_path=config.metrics_path,
        say=say,
    )
    progress.wandb_run_id = sink.run_id
    say(f"W&B run: {sink.place}")
    return sink


# --- What the published state says: the counters, and how the run stands, for `status`.

_N_PROBLEMS = 10


class Account:
    """Collects what is worth telling while the run goes on.

    ``waiting`` is why training waits at present, None while it goes on; ``running`` becomes False
    with the last push.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.running = True
        self.waiting: str | None = None
        self._problems: deque[dict[str, Any]] = deque(maxlen=_N_PROBLEMS)
        self._losses: dict[str, float] = {}
        self._eval_aux_share = session.sources.eval_aux_share()

    def note_problem(self, line: str) -> None:
        self._problems.append({"unix": round(time.time(), 3), "line": line.strip()})

    def note_cycle(self, report: TrainReport) -> None:
        losses = {name: mean for name, mean in report.means.items() if name.endswith("_loss")}
        self._losses = {name: mean for name, mean in losses.items() if math.isfinite(mean)}
        self._eval_aux_share = report.eval_aux_share

    def standing(self, report: TrainReport, share_of_time: float) -> Standing:
        """How the learner stands at the end of a cycle."""
        session, sources = self._session, self._session.sources
        return Standing(
            total_games=session.progress.total_games,
            eval_aux_games=session.progress.eval_aux_games,
            optimizer_steps=session.trainer.optimizer_steps,
            n_selfplay=len(sources.selfplay),
            n_eval_aux=len(sources.eval_aux),
            eval_aux_enabled=sources.config.enabled,
            eval_aux_policy_weight=sources.config.policy_weight,
            selfplay_reuse=sources.selfplay.mean_draws(),
            eval_aux_reuse=sources.eval_aux.mean_draws(),
            share_of_time=share_of_time,
        )

    def snapshot(self) -> Snapshot:
        """The present weights and counters, copied, to be published."""
        session, progress = self._session, self._session.progress
        state = counted_state(progress, session.trainer.optimizer_steps)
        weights = session.trainer.weights()
        own = fingerprint(progress.step, weights)
        config = session.trainer.net.config.to_dict()
        return Snapshot(weights, config, state | self.renewal(), own)

    def renewal(self) -> dict[str, Any]:
        """What may change in the state without new weights."""
        session, sources = self._session, self._session.sources
        streams = session.ingestor.streams
        course = {} if session.course is None else session.course.state()
        return course | {
            "wandb_run_id": session.progress.wandb_run_id,
            "wandb_url": session.wandb_url,
            "eval_aux_games": session.progress.eval_aux_games,
            "host": socket.gethostname(),
            "updated_unix": round(time.time(), 3),
            "running": self.running,
            "streams": streams.summary(time.time()),
            "workers": {name: dict(found) for name, found in streams.streams.workers.items()},
            "learning": {
                "cycle": session.progress.step,
                **self._losses,
                "replay_buffer_selfplay": len(sources.selfplay),
                "replay_buffer_eval_aux": len(sources.eval_aux),
                "replay_reuse": round(sources.selfplay.mean_draws(), 2),
                "eval_aux_enabled": sources.config.enabled,
                "eval_aux_mix_ratio": self._eval_aux_share,
                "eval_aux_policy_weight": sources.config.policy_weight,
                "waiting": self.waiting,
            },
            "problems": list(self._problems),
        }


# --- Everything a run tells while it goes on: lines of the log, rows of the metrics.

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


# --- What is saved where, in an order that lets a kill at any moment lose at most one cycle.

# Of pushes that may or may not have landed: months of them at the documented pace.
_MAX_FINGERPRINTS = 20_000


class Saver:
    """Saves and publishes a session, and knows which files are safe by that."""

    def __init__(self, session: Session, account: Account) -> None:
        self._session = session
        self._account = account
        self._saved_ledger: frozenset[str] = frozenset()
        self._saved_replay = frozenset(session.ingestor.held)
        self._published_ledger = published_ledger(session.published)
        self.unsaved = False
        self.unkept = True
        self.unpublished = session.is_ahead

    def note_change(self, *, of_weights: bool) -> None:
        """Something has changed that a checkpoint would save, and a push publish."""
        self.unsaved = self.unkept = True
        self.unpublished = self.unpublished or of_weights

    def save_checkpoint(self) -> None:
        """Raises OSError; the checkpoint before stays."""
        session = self._session
        session.keeper.check_disk()
        checkpoint = Checkpoint(
            session.progress,
            session.trainer.net.state_dict(),
            session.trainer.net.config.to_dict(),
            session.trainer.state(),
            session.best,
        )
        save_checkpoint(session.config.checkpoint_path, checkpoint)
        self._saved_ledger = frozenset(session.progress.ledger)
        self.unsaved = False

    def save_replay(self) -> None:
        """Write the replay cache if files have been taken in since. Raises OSError."""
        cache, held = self._session.cache, frozenset(self._session.ingestor.held)
        if cache is not None and held != self._saved_replay:
            sources = self._session.sources
            self._session.keeper.check_disk()
            cache.save((sources.selfplay, sources.eval_aux), set(held))
            self._saved_replay = held

    def snapshot(self) -> None:
        """Save everything, and keep a snapshot of it. Raises OSError as saving does."""
        self.save_replay()
        if self.unsaved or not self._session.config.checkpoint_path.exists():
            self.save_checkpoint()
        self._session.keeper.take(self._session.progress, self._session.cache)
        self.unkept = False
        self._session.keeper.check_disk()

    def publish(self) -> None:
        """Save, and hand the present weights to the publisher. Raises OSError."""
        progress = self._session.progress
        snapshot = self._account.snapshot()
        progress.published = [*progress.published, snapshot.fingerprint][-_MAX_FINGERPRINTS:]
        self.save_checkpoint()
        self._session.publisher.submit(snapshot)
        self.unpublished = False

    def note_outcome(self, outcome: Outcome) -> None:
        """Something has been published, or not."""
        if outcome.published is None:
            return
        self._published_ledger = frozenset(outcome.published.state["ingested"])
        # What was handed over before it can no longer be what the store has.
        known = self._session.progress.published
        del known[: known.index(outcome.published.fingerprint)]

    def prune(self, keep: int) -> None:
        """Have surplus example files deleted; 0 keeps all."""
        if keep:
            self._session.ingestor.prune(keep=keep, durable=self._is_durable)

    def _is_durable(self, name: str) -> bool:
        if name in self._session.ingestor.skipped:
            return True  # not wanted, so a crash loses nothing by it
        in_replay = self._session.cache is None or name in self._saved_replay
        return in_replay and name in self._saved_ledger and name in self._published_ledger
