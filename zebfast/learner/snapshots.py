"""Snapshots: complete training states in folders of their own, of which the last few are kept.

A snapshot is the checkpoint (network, optimizer, random numbers, ledger), the replay cache, the
metrics and a manifest, as they were between two steps. It is assembled under a temporary name and
renamed, so a folder with a snapshot's name is whole. Checkpoint and replay data are hard links to
the files that training replaces and never changes: a snapshot costs no copy of them.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebfast import __version__
from zebfast.exchange.mirror.manifest import (
    MANIFEST,
    IncompleteState,
    Manifest,
    Standing,
    is_folder,
    parse_manifest,
)
from zebfast.exchange.mirror.mirror import Mirror, MirrorThread, counts_commits
from zebfast.exchange.state import MAX_JSON_BYTES
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayCache
from zebfast.learner.state import Progress
from zebfast.system.events import Incident, emit
from zebfast.system.files import (
    fault_text,
    file_mark,
    lasting_faults_suppressed,
    naming,
    read_plain,
    sync_directory,
    write_atomic,
)

_LOG = logging.getLogger(__name__)

CHECKPOINT = "training.ckpt"
METRICS = "metrics.jsonl"
REPLAY = "replay.json"

_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES})


@dataclass(frozen=True)
class Snapshot:
    """A complete snapshot on this machine."""

    path: Path
    manifest: Manifest

    @property
    def freed_bytes(self) -> int:
        """What deleting it would give back: files that nothing else links to."""
        found = [self.path / name for name in self.manifest.files]
        return sum(p.stat().st_size for p in found if p.exists() and p.stat().st_nlink == 1)


class Snapshots:
    """The snapshots of one ``lineage`` in ``directory``; those of others are not touched.

    The caller holds the namespace, so what a killed process left half-made may go. Where the run
    is known to stand ``at`` a place of the lineage, a snapshot beyond that is of a branch that was
    given up, and older than all others.
    """

    def __init__(self, directory: Path, lineage: str, *, at: Standing | None = None) -> None:
        self.directory, self._lineage, self._at = directory, lineage, at
        for path in directory.glob(f".{lineage}-*.tmp"):
            shutil.rmtree(path, ignore_errors=True)

    def complete(self) -> list[Snapshot]:
        """All complete ones, the newest first: the furthest in the lineage, whatever clocks say."""

        def order(snapshot: Snapshot) -> tuple[bool, Standing]:
            standing = snapshot.manifest.standing
            return self._at is None or standing <= self._at, standing

        paths = self.directory.iterdir() if self.directory.is_dir() else ()
        found = [self._read(path) for path in paths if is_folder(path.name)]
        mine = [s for s in found if s is not None and s.manifest.lineage == self._lineage]
        return sorted(mine, key=order, reverse=True)

    def make(self, progress: Progress, files: Mapping[str, Path]) -> Snapshot:
        """Take a snapshot of ``files``, given by the names they get. Raises OSError, leaving none.

        Metrics grow in place and are copied; everything else must be a file that is only replaced.
        """

        def fill(directory: Path) -> Manifest:
            for name, path in files.items():
                _take(path, directory / name, link=name != METRICS)
            return Manifest(
                step=progress.step,
                total_games=progress.total_games,
                lineage=progress.lineage,
                wandb_run_id=progress.wandb_run_id,
                version=__version__,
                created_unix=round(time.time(), 3),
                files={name: file_mark(directory / name) for name in files},
                steps_into_cycle=progress.steps_into_cycle,
            )

        made = self.assemble(fill)
        self._at = made.manifest.standing
        return made

    def assemble(self, fill: Callable[[Path], Manifest]) -> Snapshot:
        """Make a snapshot of the files that ``fill(directory)`` writes; it tells which they are.

        Raises:
            OSError, IncompleteState, and what ``fill`` raises; nothing is left of it then.
        """
        temporary = self.directory / f".{self._lineage}-{secrets.token_hex(4)}.tmp"
        temporary.mkdir(parents=True)
        try:
            manifest = fill(temporary)
            for name in manifest.files:
                _flush(temporary / name)
            data = manifest.to_bytes()
            parse_manifest(data, manifest.folder)  # as it will be read
            write_atomic(temporary / MANIFEST, data)
            path = self.directory / manifest.folder
            if path.exists():  # a damaged copy: the name belongs to this very content
                shutil.rmtree(path)
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_directory(self.directory)
        return Snapshot(path, manifest)

    def remove(self, snapshot: Snapshot) -> int:
        """Delete one; how many bytes that freed. Raises OSError."""
        freed = snapshot.freed_bytes
        # Without its manifest, which goes first, what is left of it is no snapshot.
        (snapshot.path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(snapshot.path)
        return freed

    def prune(self, keep: int, busy: Iterable[str]) -> None:
        """Delete all but the newest ``keep`` and those that are ``busy``. Raises OSError."""
        held = set(busy)
        for snapshot in self.complete()[max(1, keep) :]:
            if snapshot.path.name not in held:
                self.remove(snapshot)

    def _read(self, path: Path) -> Snapshot | None:
        with suppress(IncompleteState), lasting_faults_suppressed():
            manifest = parse_manifest(read_plain(path / MANIFEST, MAX_JSON_BYTES), path.name)
            sizes = {name: (path / name).stat().st_size for name in manifest.files}
            if all(sizes[name] == mark.size for name, mark in manifest.files.items()):
                return Snapshot(path, manifest)
        return None


def _take(source: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
    shutil.copyfile(source, target)


def _flush(path: Path) -> None:
    with naming(path), open(path, "rb") as handle:
        os.fsync(handle.fileno())


# --- Keeps a disk from filling up with snapshots: above a limit, the oldest superseded ones go.

DiskUsage = Callable[[Path], Any]
"""Like ``shutil.disk_usage``: ``used`` and ``free`` bytes of the file system of a directory."""


class DiskGuard:
    """Looks at the disk of the snapshots whenever something is saved; says once if it stays full.

    Args:
        snapshots: where superseded ones may be deleted; the newest complete one never is.
        limit: percent of the disk; 0 = do nothing.
        busy: folders that are still being sent, which stay.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        limit: float,
        busy: Callable[[], set[str]],
        disk_usage: DiskUsage = shutil.disk_usage,
    ) -> None:
        self._snapshots, self._limit = snapshots, limit
        self._busy, self._disk_usage = busy, disk_usage
        self._warned = False

    def check(self) -> None:
        """Delete what is needed and may go. A disk that cannot be asked is left alone."""
        if not self._limit:
            return
        try:
            if self._percent() > self._limit:
                self._make_room()
            above = self._percent() > self._limit
            if above and not self._warned:
                _LOG.warning(
                    f"  disk of {self._place()} is {self._percent():.0f} % full (limit "
                    f"{self._limit:g} %) and there is no superseded snapshot to delete: make room"
                )
            self._warned = above
        except OSError as error:
            if not self._warned:
                _LOG.warning(f"  disk guard: {error}")
            self._warned = True

    def _make_room(self) -> None:
        for snapshot in reversed(self._snapshots.complete()[1:]):
            if snapshot.path.name in self._busy():
                continue
            before = self._percent()
            freed = self._snapshots.remove(snapshot)
            _LOG.info(
                f"  disk {before:.0f} % full (limit {self._limit:g} %): deleted snapshot "
                f"{snapshot.path.name}, superseded, {freed / 1e6:.1f} MB freed"
            )
            if self._percent() <= self._limit:
                return

    def _percent(self) -> float:
        """As df counts: what is kept back for root is neither used nor free."""
        usage = self._disk_usage(self._place())
        return float(100 * usage.used / max(1, usage.used + usage.free))

    def _place(self) -> Path:
        """The snapshots' directory, or the nearest above it that exists."""
        place = self._snapshots.directory.absolute()
        while not place.exists():
            place = place.parent
        return place


# --- Keeps a run's snapshots: takes them, holds the last few, sends them away, watches the disk.


class SnapshotManager:
    """The snapshots of one run. Its faults are said and never end the training.

    What the mirror lacks of the snapshots that are here, after a run that was killed, is sent at
    once.
    """

    def __init__(self, config: LearnerConfig, progress: Progress, mirror: Mirror | None) -> None:
        self._config = config
        self._snapshots = Snapshots(config.snapshots_path, progress.lineage, at=progress.standing)
        self._thread: MirrorThread | None = None
        if mirror is not None:
            self._thread = MirrorThread(
                mirror,
                keep=config.keep_snapshots,
                pause_seconds=config.push_seconds if counts_commits(config.sync_to) else 0.0,
                retry_seconds=config.stores.retry_seconds,
            )
            newest = self._snapshots.complete()[:1] if config.resume == "auto" else []
            for snapshot in newest:
                self._thread.submit(snapshot.path, snapshot.manifest, is_left=True)
        self._guard = DiskGuard(self._snapshots, limit=config.disk_limit, busy=self._busy)

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
        try:
            if config.metrics_path.exists():
                files[METRICS] = config.metrics_path
            saved = None if cache is None else cache.saved_files()
            if saved is not None:
                files |= {REPLAY: saved[0], saved[1].name: saved[1]}
            snapshot = self._snapshots.make(progress, files)
        except (OSError, IncompleteState) as error:
            why = fault_text(error) if isinstance(error, OSError) else str(error)
            text = (
                f"  no snapshot of cycle {progress.step}: {why}; training goes on, and the "
                "snapshots before are untouched"
            )
            if getattr(error, "errno", None) == errno.ENOSPC:
                emit(Incident(what="full disk", text=text))
            else:
                _LOG.warning(text)
            return
        if self._thread is not None:  # before others go: what is being sent stays
            self._thread.submit(snapshot.path, snapshot.manifest)
        try:
            self._snapshots.prune(config.keep_snapshots, self._busy())
        except OSError as error:
            why = fault_text(error)
            _LOG.warning(f"  superseded snapshots could not be deleted (will retry): {why}")

    def finish(self) -> None:
        """Wait for the last snapshot to arrive, so long and not longer."""
        if self._thread is not None and not self._thread.finish(self._config.sync_grace):
            _LOG.info(
                f"  the last snapshot is not at {self._thread.mirror.label} yet; the same command "
                "on this machine sends it first of all"
            )

    def close(self, seconds: float) -> None:
        """End the thread; it may take so long."""
        if self._thread is not None:
            self._thread.close(seconds)

    def _busy(self) -> set[str]:
        return set() if self._thread is None else self._thread.busy()
