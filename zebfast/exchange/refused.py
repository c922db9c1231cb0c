"""Files that were set aside: each refused name has its one-line reason in the store's ``bad/``."""

from __future__ import annotations

from pathlib import Path

from zebfast.system.files import write_atomic

_DIRECTORY = "bad"
_SUFFIX = ".reason.txt"


def bad_directory(home: Path) -> Path:
    """Where the store whose own files are in ``home`` keeps what it refused."""
    return home / _DIRECTORY


def write_reason(bad: Path, name: str, reason: str) -> None:
    """Keep why the file ``name`` was refused; makes ``bad`` if needed. Raises OSError."""
    bad.mkdir(parents=True, exist_ok=True)
    write_atomic(bad / f"{name}{_SUFFIX}", (" ".join(reason.split()) + "\n").encode())


def reasons_in(bad: Path) -> dict[str, Path]:
    """The files with the reasons, by the name that was refused."""
    return {path.name.removesuffix(_SUFFIX): path for path in bad.glob(f"*{_SUFFIX}")}
