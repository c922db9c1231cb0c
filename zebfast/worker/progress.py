"""Which games of a seed a worker has handed over, so that a restart never plays one twice."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zebfast.exchange import ExchangeError, parse_example_name, passing_faults
from zebfast.exchange.heartbeat import HEARTBEATS, heartbeat_name
from zebfast.exchange.local import without_locks
from zebfast.system.files import read_plain, remove_leftovers, write_atomic
from zebfast.system.locks import hold_lock
from zebfast.system.parse import parse_json

_MAX_BYTES = 4096


class WorkerBusy(ExchangeError):
    """Another process already works under this worker id."""


class SeedProgress:
    """The next game of a given seed, kept in a small file beside the examples.

    It is advanced before an example file gets its final name: a worker killed in between plays on
    behind the games it lost, and no game is ever handed over twice.
    """

    def __init__(self, path: Path, seed: int | None) -> None:
        self._path = path
        self.seed = secrets.randbits(63) if seed is None else seed
        self.is_given = seed is not None
        self.next_game = self._read() if self.is_given else 0

    def _read(self) -> int:
        try:
            saved = parse_json(read_plain(self._path, _MAX_BYTES))
            seed, next_game = saved["seed"], saved["next_game"]
            if type(next_game) is not int or not 0 <= next_game < 1 << 63:
                raise ValueError("next_game")
        except FileNotFoundError:
            return 0
        except (ValueError, TypeError, KeyError):
            raise ExchangeError(
                f"{self._path} is not this worker's progress file: remove it, and choose a new "
                "--seed so that no game is played twice"
            ) from None
        return next_game if seed == self.seed else 0

    def advance(self, next_game: int) -> None:
        """Say that games below ``next_game`` are spoken for. Raises OSError."""
        if self.is_given:
            record = {"seed": self.seed, "next_game": next_game}
            write_atomic(self._path, (json.dumps(record) + "\n").encode())
        self.next_game = next_game


@contextmanager
def hold_worker_id(directory: Path, worker_id: str) -> Iterator[Path]:
    """Be the only process that works as ``worker_id`` in ``directory``; gives the progress file.

    Temporaries that a killed predecessor left are removed, where the disk has locks; where not, the
    id must be nobody else's.

    Raises:
        WorkerBusy: another process holds it; the sentence gives its process id.
        TransientError, OSError.
    """
    progress = directory / f".{worker_id}.progress.json"

    def is_own(name: str) -> bool:
        example = parse_example_name(name)
        return name == progress.name or (example is not None and example.worker_id == worker_id)

    def busy(owner: str) -> WorkerBusy:
        return WorkerBusy(
            f"{worker_id} already works into {directory} (process {owner}): stop it first, or "
            "give this one another --worker-id"
        )

    with ExitStack() as held:
        with passing_faults():
            path = directory / f".{worker_id}.worker.lock"
            if held.enter_context(hold_lock(path, busy=busy, lockless=without_locks)):
                remove_leftovers(directory, is_own)
                heartbeat = heartbeat_name(worker_id)
                remove_leftovers(directory / HEARTBEATS, lambda name: name == heartbeat)
        yield progress
