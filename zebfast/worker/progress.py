"""Which games of a seed a worker has handed over, so that a restart never plays one twice."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zebfast.exchange import ExchangeError
from zebfast.system.files import remove_leftovers, write_atomic


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
        self._keep = seed is not None
        self.next_game = self._read() if self._keep else 0

    def _read(self) -> int:
        try:
            saved = json.loads(self._path.read_bytes())
            seed, next_game = saved["seed"], saved["next_game"]
        except FileNotFoundError:
            return 0
        except (ValueError, TypeError, KeyError):
            raise ExchangeError(
                f"{self._path} is not this worker's progress file: remove it, and choose a new "
                "--seed so that no game is played twice"
            ) from None
        return int(next_game) if seed == self.seed else 0

    def advance(self, next_game: int) -> None:
        """Say that games below ``next_game`` are spoken for. Raises OSError."""
        if self._keep:
            record = {"seed": self.seed, "next_game": next_game}
            write_atomic(self._path, (json.dumps(record) + "\n").encode())
        self.next_game = next_game


@contextmanager
def hold_worker_id(directory: Path, worker_id: str) -> Iterator[Path]:
    """Be the only process that works as ``worker_id`` in ``directory``; gives the progress file.

    The lock is the kernel's: it ends with the process, however that ends.

    Raises:
        WorkerBusy: another process holds it; the sentence gives its process id.
    """
    directory.mkdir(parents=True, exist_ok=True)
    progress = directory / f".{worker_id}.progress.json"
    with open(directory / f".{worker_id}.worker.lock", "a+", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read(20).strip() or "unknown"
            raise WorkerBusy(
                f"{worker_id} already works into {directory} (process {owner}): stop it first, or "
                "give this one another --worker-id"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        leftovers = [e.name for e in directory.iterdir() if e.name.startswith(f".{worker_id}_")]
        remove_leftovers(directory, [progress.name, *(_final_name(name) for name in leftovers)])
        yield progress


def _final_name(temporary: str) -> str:
    """Name of the file that an atomic writer's temporary was to become."""
    return temporary[1:].rsplit(".", 2)[0]
