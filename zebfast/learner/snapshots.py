"""Snapshots: complete training states in folders of their own, of which the last few are kept.

A snapshot is the checkpoint (network, optimizer, random numbers, ledger), the replay cache, the
metrics and a manifest, as they were between two steps. It is assembled under a temporary name and
renamed, so a folder with a snapshot's name is whole. Checkpoint and replay data are hard links to
the files that training replaces and never changes: a snapshot costs no copy of them.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zebfast import __version__
from zebfast.exchange.manifest import (
    MANIFEST,
    IncompleteState,
    Manifest,
    file_mark,
    is_folder,
    parse_manifest,
)
from zebfast.learner.checkpoint import Progress
from zebfast.system.files import sync_directory, write_atomic

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

    The caller holds the namespace, so what a killed process left half-made may go.
    """

    def __init__(self, directory: Path, lineage: str) -> None:
        self.directory, self._lineage = directory, lineage
        for path in directory.glob(f".{lineage}-*.tmp"):
            shutil.rmtree(path, ignore_errors=True)

    def complete(self) -> list[Snapshot]:
        """All complete ones, the newest first."""
        found = [self._read(path) for path in self._folders()]
        mine = [s for s in found if s is not None and s.manifest.lineage == self._lineage]
        return sorted(mine, key=lambda s: (s.manifest.created_unix, s.path.name), reverse=True)

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
            )

        return self.assemble(fill)

    def assemble(self, fill: Callable[[Path], Manifest]) -> Snapshot:
        """Make a snapshot of the files that ``fill(directory)`` writes; it tells which they are.

        Raises:
            OSError, and what ``fill`` raises; nothing is left of it then.
        """
        temporary = self.directory / f".{self._lineage}-{secrets.token_hex(4)}.tmp"
        temporary.mkdir(parents=True)
        try:
            manifest = fill(temporary)
            for name in manifest.files:
                _flush(temporary / name)
            write_atomic(temporary / MANIFEST, manifest.to_bytes())
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

    def _folders(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return [path for path in self.directory.iterdir() if is_folder(path.name)]
        return []

    def _read(self, path: Path) -> Snapshot | None:
        try:
            manifest = parse_manifest((path / MANIFEST).read_bytes(), path.name)
            sizes = {name: (path / name).stat().st_size for name in manifest.files}
        except (OSError, IncompleteState):
            return None
        whole = all(sizes[name] == mark.size for name, mark in manifest.files.items())
        return Snapshot(path, manifest) if whole else None


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
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
