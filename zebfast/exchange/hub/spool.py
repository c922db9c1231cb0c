"""Example files that wait on this machine's disk, in directories that a killed process leaves.

Each process spools into a directory of its own, locked while it lives; whoever finds one whose
process has ended takes over what is in it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from zebfast.exchange.names import oldest_first, parse_example_name, require_example_name

_LOCK = ".lock"


class OwnDirectory:
    """A directory below ``parent`` that is locked by this process until ``release``."""

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, parent: Path) -> OwnDirectory:
        """A new one. Raises OSError."""
        while True:
            path = parent / secrets.token_hex(6)
            path.mkdir(parents=True)
            own = cls._lock_in(path)
            if own is not None:
                return own  # else somebody who looked for abandoned ones was quicker

    @classmethod
    def abandoned(cls, parent: Path) -> Iterator[OwnDirectory]:
        """Those below ``parent`` that a process left when it ended; now this process's."""
        with suppress(FileNotFoundError):
            for path in sorted(parent.iterdir()):
                own = cls._lock_in(path)
                if own is not None:
                    yield own

    @classmethod
    def _lock_in(cls, path: Path) -> OwnDirectory | None:
        try:
            handle = open(path / _LOCK, "ab")  # noqa: SIM115 - open for as long as it is held
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        if os.fstat(handle.fileno()).st_nlink == 0:  # deleted before it was locked
            handle.close()
            return None
        return cls(path, handle)

    def files(self) -> list[Path]:
        """What lies in it, by name, its own lock apart."""
        return sorted(path for path in self.path.iterdir() if path.name != _LOCK)

    def remove(self) -> None:
        """Delete it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def release(self) -> None:
        """Leave it to whoever looks next; an empty one is deleted."""
        with suppress(FileNotFoundError):
            if not self.files():
                shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


class Spool:
    """Whole example files below ``parent``, in a directory of this process.

    Files that a process left when it was killed are taken over by the next one that spools here.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self._own: OwnDirectory | None = None

    def put(self, name: str, write: Callable[[Path], None]) -> None:
        """Add a file: ``write`` gets its path. Raises ValueError for the name, and OSError."""
        require_example_name(name)
        write(self._directory() / name)

    def _directory(self) -> Path:
        if self._own is None:
            self._own = OwnDirectory.create(self.parent)
        return self._own.path

    def take_over(self) -> list[str]:
        """Move what ended processes left into this spool; the names. Raises OSError."""
        taken = []
        for left in OwnDirectory.abandoned(self.parent):
            for path in left.files():
                if parse_example_name(path.name) is not None:
                    os.replace(path, self._directory() / path.name)
                    taken.append(path.name)
            left.remove()
        return taken

    def names(self) -> list[str]:
        """Files that wait, oldest first by the time in the name."""
        if self._own is None:
            return []
        return oldest_first(path.name for path in self._own.files())

    def path(self, name: str) -> Path:
        return self._directory() / name

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                self.path(name).unlink()

    def release(self) -> None:
        """Leave what waits to the next process that spools here."""
        if self._own is not None:
            self._own.release()
            self._own = None
