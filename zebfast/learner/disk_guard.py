"""Keeps a disk from filling up with snapshots: above a limit, the oldest superseded ones go."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zebfast.exchange import Say
from zebfast.learner.snapshots import Snapshots

DiskUsage = Callable[[Path], Any]
"""Like ``shutil.disk_usage``: ``used`` and ``free`` bytes of the file system of a directory."""


class DiskGuard:
    """Looks at the disk of the snapshots whenever something is saved.

    Args:
        snapshots: where superseded ones may be deleted; the newest complete one never is.
        limit: percent of the disk; 0 = do nothing.
        busy: folders that are still being sent, which stay.
        say: told what was deleted, and once if that was not enough.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        limit: float,
        busy: Callable[[], set[str]],
        say: Say,
        disk_usage: DiskUsage = shutil.disk_usage,
    ) -> None:
        self._snapshots, self._limit = snapshots, limit
        self._busy, self._say = busy, say
        self._disk_usage = disk_usage
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
                self._say(
                    f"  disk of {self._place()} is {self._percent():.0f} % full (limit "
                    f"{self._limit:g} %) and there is no superseded snapshot to delete: make room"
                )
            self._warned = above
        except OSError as error:
            if not self._warned:
                self._say(f"  disk guard: {error}")
            self._warned = True

    def _make_room(self) -> None:
        for snapshot in reversed(self._snapshots.complete()[1:]):
            if snapshot.path.name in self._busy():
                continue
            before = self._percent()
            freed = self._snapshots.remove(snapshot)
            self._say(
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
