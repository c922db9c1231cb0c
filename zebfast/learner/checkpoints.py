"""What is saved where, in an order that lets a kill at any moment lose at most one cycle.

The order of safety: a checkpoint is saved before its weights are handed to the publisher, so that
published weights always have a checkpoint at least as new; and an example file is deleted only when
the saved replay buffers hold it and both the checkpoint and the published state count it.

Publishing goes on beside training: one push at a time, in its own thread, the newest request wins.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from zebfast.exchange import Patience, StateDict, TransientError, Weights, WeightStore
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.ingest import Ingestor
from zebfast.learner.data.replay import ReplayCache
from zebfast.learner.run_log import RunStatus
from zebfast.learner.snapshots import SnapshotManager
from zebfast.learner.state import (
    TrainingCheckpoint,
    counted_state,
    fingerprint,
    published_ledger,
    save_checkpoint,
)
from zebfast.learner.train.trainer import Trainer
from zebfast.net.torch.modules import arrays
from zebfast.system.background import BackgroundSender
from zebfast.system.events import Incident, Published, emit
from zebfast.system.retry import Once, doubling

_LOG = logging.getLogger(__name__)
_MAX_PAUSE_SECONDS = 300.0
# Of pushes that may or may not have landed: months of them at the documented pace.
_MAX_FINGERPRINTS = 20_000


@dataclass(frozen=True)
class PublishRequest:
    """What one push says: keys of the state and, where there are new weights, these.

    Nobody changes the weights. ``ledger`` are the files that the state
    counts.
    """

    state: Mapping[str, Any]
    weights: StateDict | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    ledger: frozenset[str] = frozenset()

    def followed_by(self, newer: PublishRequest) -> PublishRequest:
        """One request for both: newer weights win, changes of the state alone go with it."""
        if newer.weights is not None:
            return newer
        return replace(self, state={**self.state, **newer.state})


class Publisher(BackgroundSender[PublishRequest]):
    """The thread. ``error`` is what has ended it: then nothing more will be published.

    Args:
        store: its namespace is held by the caller.
        push_seconds: least time between pushes.
        retry_seconds: pause after a passing failure; it doubles each time.
        squash_after: versions beyond which the store's history is forgotten; 0 = never.
    """

    def __init__(
        self,
        store: WeightStore,
        *,
        push_seconds: float,
        retry_seconds: float,
        squash_after: int,
    ) -> None:
        self.store = store
        self._squash_after = squash_after
        self._is_new_fault = Once()
        self._arrived: PublishRequest | None = None
        self._arrival = threading.Lock()
        super().__init__(
            self._push,
            name="publisher",
            failed=self._is_passing,
            retry=doubling(retry_seconds, longest=_MAX_PAUSE_SECONDS),
            rest=push_seconds,
            combine=PublishRequest.followed_by,
        )

    def arrived(self) -> PublishRequest | None:
        """The newest weights that have reached the store since this was last asked."""
        with self._arrival:
            arrived, self._arrived = self._arrived, None
            return arrived

    # --- in the thread ---

    def _push(self, request: PublishRequest) -> None:
        if request.weights is None:
            self.store.update_state(request.state)
        else:
            self.store.publish(request.weights, request.config, request.state)
            with self._arrival:
                self._arrived = request
            self._compact()
        self._is_new_fault.over()

    def _is_passing(self, _request: PublishRequest, error: Exception) -> bool:
        if not isinstance(error, TransientError):
            raise error  # ends the thread, and the run with it
        text = f"  push error (will retry): {error}"
        if self._is_new_fault(text):
            emit(Incident(what="exchange", text=text))
        return True

    def _compact(self) -> None:
        try:
            if self._squash_after and (line := self.store.compact(self._squash_after)):
                _LOG.info(line)
        except TransientError as error:
            emit(Incident(what="exchange", text=f"  squash error (will retry): {error}"))


class CheckpointManager:
    """Saves and publishes a run, and knows which example files are safe by that.

    Args:
        patience: waits passing faults of the disk out.
        cache: of the replay buffers; None = they are not saved.
        weights: what the store has at the start.
    """

    def __init__(
        self,
        config: LearnerConfig,
        trainer: Trainer,
        ingestor: Ingestor,
        publisher: Publisher,
        snapshots: SnapshotManager,
        status: RunStatus,
        patience: Patience,
        *,
        cache: ReplayCache | None,
        weights: Weights,
    ) -> None:
        self._config, self._trainer, self._ingestor = config, trainer, ingestor
        self._publisher, self._snapshots, self._status = publisher, snapshots, status
        self._patience, self._cache = patience, cache
        self._progress = ingestor.progress
        self._saved_ledger: frozenset[str] = frozenset()
        self._saved_replay = frozenset(ingestor.held)
        self._published_ledger = published_ledger(weights)
        self._renewed = -float("inf")
        self._unkept = True
        self._saved_steps = trainer.optimizer_steps
        self.unsaved = False
        # It may have been ended before it could publish what it had trained.
        self.unpublished = self._progress.step > weights.step

    def note_change(self, *, of_weights: bool) -> None:
        """Something has changed that a checkpoint would save, and a push publish."""
        self.unsaved = self._unkept = True
        self.unpublished = self.unpublished or of_weights

    def after_cycle(self) -> None:
        """Save, publish and snapshot, each when it is time to. Raises OSError as they do."""
        config, step = self._config, self._progress.step
        if step % config.replay_cache_save_every == 0:
            self.save_replay()
        if step % config.training.push_every == 0:
            self.publish()
        elif step % config.checkpoint_every == 0:
            self.save_checkpoint()
        if self._snapshots.is_due(step):
            self._take_snapshot()

    def save_checkpoint(self) -> None:
        """Raises OSError, ReplicasParted and RankLost; the checkpoint before stays."""
        trainer = self._trainer
        trainer.compare_replicas()
        self._snapshots.check_disk()
        checkpoint = TrainingCheckpoint(
            self._progress,
            arrays(trainer.net.state_dict()),
            trainer.net.config.to_dict(),
            trainer.state(),
        )
        self._patience(lambda: save_checkpoint(self._config.checkpoint_path, checkpoint))
        self._saved_ledger = frozenset(self._progress.ledger)
        self._saved_steps = trainer.optimizer_steps
        self.unsaved = False

    def rescue(self) -> None:
        """Before an end that nobody asked for, save what has been trained, if that can be."""
        if self.unsaved or self._trainer.optimizer_steps != self._saved_steps:
            with suppress(Exception):  # what ended the run is what must be told
                self.save_checkpoint()

    def save_replay(self) -> None:
        """Write the replay cache if files have been taken in since. Raises OSError."""
        held, mixture = frozenset(self._ingestor.held), self._ingestor.mixture
        cache, buffers = self._cache, (mixture.selfplay, mixture.eval_aux)
        if cache is not None and held != self._saved_replay:
            self._snapshots.check_disk()
            self._patience(lambda: cache.save(buffers, self._ingestor.in_order()))
            self._saved_replay = held

    def publish(self) -> None:
        """Save, and hand the present weights to the publisher. Raises as saving does."""
        progress, trainer = self._progress, self._trainer
        trainer.compare_replicas()
        weights = trainer.weights()
        request = PublishRequest(
            state=counted_state(progress, trainer.optimizer_steps) | self._status.state(),
            weights=weights,
            config=trainer.net.config.to_dict(),
            fingerprint=fingerprint(progress.step, weights),
            ledger=frozenset(progress.ledger),
        )
        progress.published = [*progress.published, request.fingerprint][-_MAX_FINGERPRINTS:]
        self.save_checkpoint()
        self._publisher.submit(request)
        self.unpublished = False

    def renew(self) -> None:
        """Publish how the run stands, without new weights."""
        self._renewed = time.monotonic()
        self._publisher.submit(PublishRequest(state=self._status.state()))

    def attend_publisher(self) -> None:
        """Take in what has been published; a sign of life for those who watch the state.

        Where nothing was published for long, the state alone is renewed.
        """
        arrived = self._publisher.arrived()
        if arrived is not None:
            self._renewed = time.monotonic()
            self._published_ledger = arrived.ledger
            # What was handed over before it can no longer be what the store has.
            known = self._progress.published
            del known[: known.index(arrived.fingerprint)]
            emit(Published(step=arrived.state["step"], games=arrived.state["total_games"]))
        elif time.monotonic() - self._renewed > max(30.0, 3 * self._config.push_seconds):
            self.renew()

    def settle(self) -> None:
        """Leave everything saved, published and kept, in the order of safety. Raises OSError.

        Where the publisher ended before its time, it has an error, and the rest is done all the
        same.
        """
        self.save_replay()
        self._status.running = False
        if self.unsaved or self.unpublished:
            self.publish()
        else:
            self.renew()
        if not self._publisher.finish(self._config.last_push_seconds):
            _LOG.info(
                "  the last weights are not published yet; the same command does it first of all"
            )
        self.attend_publisher()
        if self._snapshots.is_used and self._unkept:
            self._take_snapshot()
        self._snapshots.finish()

    def prune(self) -> None:
        """Have surplus example files deleted or moved away, as far as they are safe."""
        self._ingestor.prune(keep=self._config.keep_example_files, durable=self._is_safe)

    def _take_snapshot(self) -> None:
        """Save everything, and keep a snapshot of it. Raises OSError as saving does."""
        self.save_replay()
        if self.unsaved or not self._patience(self._config.checkpoint_path.exists):
            self.save_checkpoint()
        self._snapshots.take(self._progress, self._cache)
        self._unkept = False
        self._snapshots.check_disk()

    def _is_safe(self, name: str) -> bool:
        if name in self._ingestor.skipped:
            return True  # not wanted, so a crash loses nothing by it
        in_replay = self._cache is None or name in self._saved_replay
        return in_replay and name in self._saved_ledger and name in self._published_ledger
