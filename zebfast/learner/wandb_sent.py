"""What a W&B run has been given from this machine, for a start that cannot ask the service.

An offline run is a directory that is complete only when it was ended: W&B keeps the newest rows in
memory. So a directory whose process was killed is put out of the way of ``wandb sync``, and the
next one begins after the last that was ended.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from zebfast.system.files import write_atomic

_OPEN = "open_directory"
_PUT_AWAY = "killed-"


class SentRows:
    """``sent-RUN.json`` in W&B's directory: by kind of row, the last cycle that the run has."""

    def __init__(self, directory: Path, run_id: str | None) -> None:
        self.directory = directory
        self.path = directory / f"sent-{run_id}.json"

    def read(self) -> dict[str, int] | None:
        """None when nothing is known of this run here."""
        content = self._content()
        cycles = {k: v for k, v in content.items() if isinstance(v, int)}
        return cycles if content else None

    def write(self, cycles: dict[str, int], *, open_directory: str | None = None) -> None:
        """Remember; ``open_directory`` is that of an offline run still to be ended. OSError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, json.dumps({**cycles, _OPEN: open_directory}).encode())

    def put_away_killed(self) -> None:
        """Rename the offline run that was not ended, if there is one. Raises OSError."""
        name = self._content().get(_OPEN)
        if isinstance(name, str) and Path(name).name == name:
            with suppress(FileNotFoundError):
                (self.directory / name).rename(self.directory / f"{_PUT_AWAY}{name}")

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
