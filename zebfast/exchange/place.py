"""Where weights and examples are: a directory, a Hub repository or a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["directory", "model", "dataset", "bucket"]


@dataclass(frozen=True)
class Place:
    """A directory, or a repository or bucket of the Hugging Face Hub.

    ``name`` is the directory's path, or ``owner/name``. Examples in a ``dataset`` that does not
    exist are looked for in the model repository of that name, where the published ones lie.
    """

    kind: Kind
    name: str

    @classmethod
    def directory(cls, path: Path) -> Place:
        return cls("directory", str(path))

    @property
    def path(self) -> Path | None:
        """The directory; None for a place on the Hub."""
        return Path(self.name) if self.kind == "directory" else None

    def __str__(self) -> str:
        return self.name if self.kind == "directory" else f"{self.kind} {self.name}"


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """How a back end behaves; directories need only ``state_dir``, and not even that.

    Attributes:
        state_dir: this machine's own files: spools, copies of refused files, locks.
        upload_interval: seconds between commits of example files.
        attempts, retry_seconds: tries of a call that failed for a passing reason, and the pause
            before the second; it doubles each time.
        timeout: seconds until an answer of the Hub is given up.
    """

    state_dir: Path
    upload_interval: float = 240.0
    attempts: int = 4
    retry_seconds: float = 5.0
    timeout: float = 60.0
