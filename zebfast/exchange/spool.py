"""Example files that wait on this machine's disk for their upload."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from zebfast.exchange.own_directory import OwnDirectory
from zebfast.selfplay.examples import oldest_first, parse_example_name, require_example_name


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
