"""Example files that were refused: kept with the reason, out of every listing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zebfast.exchange.names import bounded
from zebfast.system.files import own_folder, write_atomic

_SUFFIX = ".reason.txt"


@dataclass(frozen=True)
class Quarantine:
    """What a store refused, below its own ``local_dir`` on this machine.

    Beside a refused file lies ``NAME.reason.txt``, one line; a file that is far away may have left
    no more than that.
    """

    local_dir: Path

    @property
    def directory(self) -> Path:
        return self.local_dir / "bad"

    def add(self, name: str, reason: str) -> Path:
        """Keep why ``name`` was refused; where a copy of the file belongs. Raises OSError."""
        own_folder(self.directory)
        text = " ".join(reason.split()) + "\n"
        write_atomic(self.directory / f"{name}{_SUFFIX}", text.encode())
        return self.directory / name

    def reasons(self) -> dict[str, Path]:
        """The files with the reasons, by the name that was refused."""
        found = bounded(self.directory.glob(f"*{_SUFFIX}"))
        return {path.name.removesuffix(_SUFFIX): path for path in found}
