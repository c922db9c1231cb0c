"""Heartbeats that lie beside example files far away: only what has changed is fetched again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zebfast.exchange.base import Say, TransientError
from zebfast.exchange.heartbeat import (
    HEARTBEATS,
    MAX_BYTES,
    Heartbeat,
    HeartbeatReader,
    is_heartbeat_name,
    too_long,
)

if TYPE_CHECKING:
    from zebfast.exchange.remote_examples import Transport


class RemoteHeartbeats:
    """Reads the heartbeats of one place.

    Args:
        scratch: makes a directory for downloads when one is needed.
    """

    def __init__(self, transport: Transport, scratch: Callable[[], Path], say: Say) -> None:
        self._transport, self._scratch = transport, scratch
        self._reader = HeartbeatReader(say)
        self._seen: dict[str, tuple[str, bytes]] = {}  # version and content, by name

    def read(self) -> dict[str, Heartbeat]:
        """As ExampleStore.heartbeats. One that is renewed while it is fetched is fetched again."""
        problem = self._look() and self._look()
        if problem:  # in a part of them, whoever is missing would seem dead
            raise TransientError(problem)
        return self._reader.read({Path(p).name: data for p, (_, data) in self._seen.items()})

    def _look(self) -> str | None:
        """List them and fetch what has changed; why not everything came, if it did not."""
        before, self._seen = self._seen, {}
        wanted = {}
        for path, entry in self._transport.entries(HEARTBEATS).items():
            name = path.rpartition("/")[2]
            if entry.size > MAX_BYTES:
                self._reader.refuse(name, str(too_long(name, entry.size)))
            elif path in before and before[path][0] == entry.version:
                self._seen[path] = before[path]
            elif is_heartbeat_name(name):
                wanted[path] = entry.version
        return self._fetch(wanted) if wanted else None

    def _fetch(self, wanted: Mapping[str, str]) -> str | None:
        """Download files, given with their versions; why not all came."""
        with tempfile.TemporaryDirectory(dir=self._scratch()) as made:
            came, problem = self._transport.download(list(wanted), Path(made))
            for path in came:
                self._seen[path] = (wanted[path], _head(Path(made, path)))
        return problem


def _head(path: Path) -> bytes:
    """As much of a file as a heartbeat can have, and a byte that shows when there is more."""
    with open(path, "rb") as handle:
        return handle.read(MAX_BYTES + 1)
