"""Where weights and examples are: a directory, a Hub repository or a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zebfast.system.settings import A_DAY, A_YEAR, check, setting

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
        attempts: tries of a call that failed for a passing reason.
        retry_seconds: it doubles each time.
        timeout: seconds until an answer of the Hub is given up.
    """

    state_dir: Path
    upload_interval: float = setting(
        240.0,
        "Seconds between uploads to the Hub; in directories files appear as batches end.",
        least=0,
        most=A_YEAR,
    )
    attempts: int = setting(4, least=1, most=1_000)
    retry_seconds: float = setting(
        5.0, "First pause after a passing fault of the Hub.", above=0, most=A_DAY
    )
    timeout: float = setting(60.0, above=0, most=A_DAY)

    def __post_init__(self) -> None:
        check(self)
