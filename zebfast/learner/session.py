"""How a learner run begins: what it continues from, and the parts of it, put together."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from pathlib import Path

from zebfast.exchange import (
    Patience,
    TransientError,
    Weights,
    WeightStore,
    open_examples,
    until_reached,
)
from zebfast.exchange.mirror.mirror import Mirror, open_mirror
from zebfast.exchange.state import usable_run_id
from zebfast.learner.checkpoints import CheckpointManager, Publisher
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.ingest import Ingestor
from zebfast.learner.data.reader import ExampleReader
from zebfast.learner.data.replay import ReplayCache, ReplayMixture
from zebfast.learner.evaluation import Gatekeeper
from zebfast.learner.metrics import JsonlMetrics, log_metrics
from zebfast.learner.ranks.leader import Leader
from zebfast.learner.resume import (
    Continuation,
    StartError,
    bring_newest_state,
    build_net,
    continuation,
    earlier_network,
    published_weights,
)
from zebfast.learner.run_log import RunLogger, RunStatus
from zebfast.learner.schedule import Schedule
from zebfast.learner.snapshots import SnapshotManager
from zebfast.learner.state import Progress, load_checkpoint
from zebfast.learner.train.trainer import Trainer
from zebfast.learner.wandb import WandbMetrics
from zebfast.net import checkpoint as model_file
from zebfast.net.torch.modules import AnyNet
from zebfast.net.torch.output import n_parameters
from zebfast.net.torch.v2 import V2Net
from zebfast.system.events import Row, subscribed
from zebfast.system.files import remove_leftovers
from zebfast.system.signals import StopFlag

__all__ = ["Session", "StartError", "open_session"]

_LOG = logging.getLogger(__name__)


def open_session(
    config: LearnerConfig, store: WeightStore, stop: StopFlag, leader: Leader | None = None
) -> Session:
    """Bootstrap or continue ``config.namespace``, which the caller holds in ``store``.

    ``leader``: of the ranks that share the training; None = there is only this process.

    The session's threads run from here on: close it to end them.

    Raises:
        BadCheckpoint, StartError, ExchangeError, CheckpointError, WandbError: one sentence each;
        Stopped.
    """
    bootstrap = None
    if config.checkpoint:
        _LOG.info(f"Loading bootstrap checkpoint: {config.checkpoint}")
        bootstrap = model_file.load(config.checkpoint)
    mirror = None
    if config.sync_to is not None:
        mirror = open_mirror(
            config.sync_to,
            config.namespace,
            endpoint=config.sync_endpoint,
            options=config.stores,
            squash_after=config.squash_after,
        )

    def reach() -> Weights:
        bring_newest_state(config, store, mirror, bootstrap)
        weights = published_weights(config, store, bootstrap)
        if mirror is not None:
            with suppress(TransientError):  # it is looked at again before anything is sent
                mirror.refuse_foreign(weights.state["lineage"])
        return weights

    weights = until_reached(reach, stop, retry_seconds=config.stores.retry_seconds)

    def begin() -> Session:
        path = config.checkpoint_path
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, lambda name: name == path.name)
        found = continuation(load_checkpoint(path), weights, path)
        return Session(config, store, weights, found, mirror, stop, leader)

    return until_reached(begin, stop, retry_seconds=config.stores.retry_seconds)


class Session:
    """The parts of a running learner, each made of those it needs. Close it to end its threads."""

    def __init__(
        self,
        config: LearnerConfig,
        store: WeightStore,
        weights: Weights,
        found: Continuation,
        mirror: Mirror | None,
        stop: StopFlag,
        leader: Leader | None,
    ) -> None:
        self.config, self.leader = config, leader
        self.patience = Patience(
            stop, config.stores.retry_seconds, config.last_push_seconds, is_ending=stop
        )
        self.progress = progress = found.progress
        self.trainer = _trainer(config, store, weights, found, leader)
        self.mixture = ReplayMixture(config)
        cache, held = _restore_replay(config, progress, self.mixture)
        self.schedule = Schedule(config.recipe, progress, self.mixture)
        if not config.recipe.is_endless:  # which has one rate
            self.trainer.schedule = self.schedule.rate

        @functools.cache
        def ends() -> float:
            """When the threads must have ended: some seconds after the first question."""
            return time.monotonic() + config.last_push_seconds

        with ExitStack() as parts:
            sinks, wandb_url = _open_sinks(config, progress, weights, parts, self.patience)
            status = RunStatus(progress, self.mixture, self.schedule, wandb_url)
            parts.enter_context(subscribed(log_metrics(*sinks), status.take))
            snapshots = SnapshotManager(config, progress, mirror)
            parts.callback(lambda: snapshots.close(ends() - time.monotonic()))
            self.ingestor = _ingestor(
                config, progress, self.mixture, self.schedule, self.trainer.net, held
            )
            parts.callback(lambda: self.ingestor.reader.close(ends() - time.monotonic()))
            self.publisher = Publisher(
                store,
                push_seconds=config.push_seconds,
                retry_seconds=config.stores.retry_seconds,
                squash_after=config.squash_after,
            )
            parts.callback(lambda: self.publisher.close(ends() - time.monotonic()))
            self.checkpoints = CheckpointManager(
                config,
                self.trainer,
                self.ingestor,
                self.publisher,
                snapshots,
                status,
                self.patience,
                cache=cache,
                weights=weights,
            )
            self.gatekeeper = Gatekeeper(
                config, self.trainer, self.schedule, progress, self.checkpoints, self.patience
            )
            parts.callback(self.gatekeeper.close)
            self.run_log = RunLogger(
                progress, self.mixture, self.schedule, max_ratio=config.max_reuse
            )
            self._parts = parts.pop_all()

    def close(self) -> None:
        """End the threads, which have some seconds for it, and close the sinks."""
        self._parts.close()


def _trainer(
    config: LearnerConfig,
    store: WeightStore,
    weights: Weights,
    found: Continuation,
    leader: Leader | None,
) -> Trainer:
    """A trainer that goes on from what was found, and those of the other ranks with it."""
    source = f"{store.label}/{config.namespace.weights_file}"

    def earlier() -> Path | None:
        return earlier_network(config, found.progress.lineage)

    net = build_net(weights.config, found.weights, source=source, earlier=earlier)
    trainer = Trainer(net, config, leader=leader)
    if found.trainer is not None:
        trainer.load_state(found.trainer)
    trainer.optimizer_steps = found.optimizer_steps
    trainer.share()
    _LOG.info(f"  Model: {n_parameters(net):,} parameters on {config.device}")
    if config.training.amp and trainer.half is None:
        _LOG.info(
            f"  --amp {config.amp_dtype} does not help this network on this CPU: training in fp32"
        )
    if leader is not None and leader.world > 1:
        _LOG.info(f"  {leader.world} processes share every batch")
    return trainer


def _ingestor(
    config: LearnerConfig,
    progress: Progress,
    mixture: ReplayMixture,
    schedule: Schedule,
    net: AnyNet,
    held: Collection[str],
) -> Ingestor:
    """What takes in example files; its reader's thread runs from here on."""
    examples = open_examples(config.examples, config.namespace, options=config.stores)
    reader = ExampleReader(
        examples,
        known=progress.ledger & set(held),
        # Not the tokenizer: examples are games, from which any network is taught.
        expected={"weights_name": config.namespace.stem},
        poll_seconds=config.poll_seconds,
        prune_seconds=5 * config.push_seconds,  # each deletion is a commit
        squash_after=config.squash_after,
        keeps_all=not config.keep_example_files,
    )
    return Ingestor(
        reader,
        mixture,
        progress,
        held=held,
        has_belief_head=net.belief_proj is not None,
        has_points_head=isinstance(net, V2Net),
        on_new=schedule.count,
    )


def _restore_replay(
    config: LearnerConfig, progress: Progress, mixture: ReplayMixture
) -> tuple[ReplayCache | None, Collection[str]]:
    """The cache, if it is used, and the files whose examples it gave back."""
    if not config.replay_cache:
        return None, ()
    cache = ReplayCache(config.replay_path(progress.lineage), progress.lineage)
    held = cache.load(mixture.selfplay, mixture.eval_aux) or ()
    if held:
        replay, n_eval_aux = mixture.selfplay, len(mixture.eval_aux)
        eval_aux = f" and {n_eval_aux:,} eval_aux ones" if n_eval_aux else ""
        _LOG.info(
            f"Replay buffer (local cache): {len(replay):,}/{replay.capacity:,} examples"
            f"{eval_aux} from {len(held)} files"
        )
    return cache, held


def _open_sinks(
    config: LearnerConfig,
    progress: Progress,
    weights: Weights,
    parts: ExitStack,
    patience: Patience,
) -> tuple[list[Callable[[int, Row], None]], str | None]:
    """Where rows of metrics go, and the address of the W&B run where there is one."""
    number = progress.schedule.looks if progress.schedule else 0
    local = JsonlMetrics(config.metrics_path, last_step=progress.step, last_evaluation=number)

    def log(step: int, row: Row) -> None:
        patience(lambda: local.log(step, row))

    if not config.wandb:
        return [log], None
    remote = WandbMetrics(
        project=config.wandb_project,
        name=config.run_name,
        run_id=usable_run_id(weights.state) or progress.wandb_run_id,
        config=config.to_json(),
        directory=config.stores.state_dir,
        metrics_path=config.metrics_path,
    )
    parts.callback(remote.close)
    progress.wandb_run_id = remote.run_id
    _LOG.info(f"W&B run: {remote.place}")
    return [log, remote.log], remote.url
