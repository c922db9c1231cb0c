"""Keeps a run's snapshots: takes them, holds the last few, sends them away, watches the disk."""

from __future__ import annotations

from zebfast.exchange import Say
from zebfast.exchange.mirror import Mirror, counts_commits, open_mirror
from zebfast.exchange.mirror_thread import MirrorThread
from zebfast.learner.checkpoint import Progress
from zebfast.learner.config import LearnerConfig
from zebfast.learner.disk_guard import DiskGuard
from zebfast.learner.replay_cache import ReplayCache
from zebfast.learner.snapshots import CHECKPOINT, METRICS, REPLAY, Snapshots


def mirror_of(config: LearnerConfig, *, say: Say) -> Mirror | None:
    """The place of ``--sync-to``. ExchangeError when a package for it is missing."""
    if config.sync_to is None:
        return None
    return open_mirror(
        config.sync_to,
        config.namespace,
        endpoint=config.sync_endpoint,
        options=config.stores,
        squash_after=config.squash_after,
        say=say,
    )


class Keeper:
    """The snapshots of one run. Its faults are said and never end the training.

    What the mirror lacks of the snapshots that are here, after a run that was killed, is sent at
    once.
    """

    def __init__(
        self, config: LearnerConfig, lineage: str, mirror: Mirror | None, *, say: Say
    ) -> None:
        self._config, self._say = config, say
        self._snapshots = Snapshots(config.snapshots_path, lineage)
        self._thread: MirrorThread | None = None
        if mirror is not None:
            self._thread = MirrorThread(
                mirror,
                keep=config.keep_snapshots,
                pause_seconds=config.push_seconds if counts_commits(config.sync_to) else 0.0,
                retry_seconds=config.stores.retry_seconds,
                say=say,
            )
            newest = self._snapshots.complete()[:1] if config.resume == "auto" else []
            for snapshot in newest:
                self._thread.submit(snapshot.path, snapshot.manifest)
        self._guard = DiskGuard(self._snapshots, limit=config.disk_limit, busy=self._busy, say=say)

    @property
    def is_used(self) -> bool:
        """Are snapshots taken at all?"""
        return self._config.snapshot_every > 0

    def is_due(self, step: int) -> bool:
        return self.is_used and step % self._config.snapshot_every == 0

    def check_disk(self) -> None:
        self._guard.check()

    def take(self, progress: Progress, cache: ReplayCache | None) -> None:
        """Snapshot what is saved at this moment, which the caller has just seen to."""
        config = self._config
        files = {CHECKPOINT: config.checkpoint_path}
        if config.metrics_path.exists():
            files[METRICS] = config.metrics_path
        saved = None if cache is None else cache.saved_files()
        if saved is not None:
            files |= {REPLAY: saved[0], saved[1].name: saved[1]}
        try:
            snapshot = self._snapshots.make(progress, files)
            self._snapshots.prune(config.keep_snapshots, self._busy())
        except OSError as error:
            self._say(
                f"  no snapshot of cycle {progress.step}: {error}; training goes on, and the "
                "snapshots before are untouched"
            )
            return
        if self._thread is not None:
            self._thread.submit(snapshot.path, snapshot.manifest)

    def finish(self) -> None:
        """Wait for the last snapshot to arrive, so long and not longer."""
        if self._thread is not None and not self._thread.finish(self._config.sync_grace):
            self._say(
                f"  the last snapshot is not at {self._thread.mirror.label} yet; the same command "
                "on this machine sends it first of all"
            )

    def close(self, seconds: float) -> None:
        """End the thread; it may take so long."""
        if self._thread is not None:
            self._thread.close(seconds)

    def _busy(self) -> set[str]:
        return set() if self._thread is None else self._thread.busy()
