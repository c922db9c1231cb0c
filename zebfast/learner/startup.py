"""How a learner run begins: the parts of a session, put together around what it continues from."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from zebfast.exchange import Say, StateDict, TransientError, Weights, WeightStore, open_examples
from zebfast.exchange.mirror import Mirror
from zebfast.learner.checkpoint import Progress, load_checkpoint
from zebfast.learner.config import LearnerConfig
from zebfast.learner.continuation import (
    StartError,
    build_net,
    continuation,
    load_bootstrap,
    published_weights,
)
from zebfast.learner.course import Course
from zebfast.learner.ingest import Ingestor
from zebfast.learner.keeper import Keeper, mirror_of
from zebfast.learner.metrics import JsonlMetrics, MetricsSink
from zebfast.learner.publisher import Publisher
from zebfast.learner.reader import ExampleReader, Pace
from zebfast.learner.replay_cache import ReplayCache
from zebfast.learner.resume import bring_newest_state
from zebfast.learner.sources import Sources
from zebfast.learner.trainer import Trainer
from zebfast.learner.wandb_sink import WandbMetrics
from zebfast.net.networks import n_parameters
from zebfast.net.v2 import V2Net
from zebfast.system.signals import StopFlag

__all__ = ["Session", "StartError", "Stopped", "open_session", "until_reached"]

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
    if config.amp and trainer.half is None:
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
    course = Course(config.recipe, progress, sources, say) if config.recipe else None
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
