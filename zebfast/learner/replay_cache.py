"""The replay buffer on the local disk, so that a restart does not begin with an empty one.

A save is a flat data file and then a manifest that names it, with size and CRC. The previous pair
stays until the next save, so at every moment one complete pair exists. The manifest also lists
the example files whose records are inside; the learner deletes example files only when such a list
has them, so no example is lost with the process.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zebfast.core.records import EXAMPLE_DTYPE
from zebfast.learner.replay import ReplayBuffer, packed_rows
from zebfast.system.files import remove_leftovers, write_atomic

_MANIFEST = "manifest.json"
_PREVIOUS = "manifest.previous.json"


@dataclass(frozen=True)
class ReplayCache:
    """Replay cache of one lineage in its own ``directory``."""

    directory: Path
    lineage: str

    def save(self, replay: ReplayBuffer, names: set[str]) -> None:
        """Write the buffer and the names of the files in it. Raises OSError; the old pair stays."""
        self.directory.mkdir(parents=True, exist_ok=True)
        data = packed_rows(replay.contents()).tobytes()
        data_file = f"replay-{secrets.token_hex(4)}.bin"
        manifest = {
            "lineage": self.lineage,
            "record_bytes": EXAMPLE_DTYPE.itemsize,
            "data_file": data_file,
            "n_records": len(replay),
            "crc32": zlib.crc32(data),
            "capacity": replay.capacity,
            "total_added": replay.total_added,
            "files": sorted(names),
        }
        write_atomic(self.directory / data_file, data)
        with suppress(FileNotFoundError):
            write_atomic(self.directory / _PREVIOUS, (self.directory / _MANIFEST).read_bytes())
        write_atomic(self.directory / _MANIFEST, json.dumps(manifest).encode())
        self._remove_unreferenced()

    def load(self, replay: ReplayBuffer) -> set[str] | None:
        """Fill ``replay`` from the newest usable save; the file names in it, or None if none is."""
        remove_leftovers(self.directory, lambda name: True)  # the directory is this cache's alone
        for name in (_MANIFEST, _PREVIOUS):
            manifest = self._read_manifest(name)
            if manifest is None:
                continue
            records = self._read_records(manifest)
            if records is not None:
                replay.restore(
                    records, capacity=manifest["capacity"], total_added=manifest["total_added"]
                )
                return set(manifest["files"])
        return None

    def _read_manifest(self, name: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            manifest = json.loads((self.directory / name).read_bytes())
            if (
                manifest.get("lineage") == self.lineage
                and manifest.get("record_bytes") == EXAMPLE_DTYPE.itemsize
            ):
                return dict(manifest)
        return None

    def _read_records(self, manifest: dict[str, Any]) -> np.ndarray[Any, Any] | None:
        with suppress(OSError):
            data = (self.directory / manifest["data_file"]).read_bytes()
            if (
                len(data) == manifest["n_records"] * EXAMPLE_DTYPE.itemsize
                and zlib.crc32(data) == manifest["crc32"]
            ):
                return np.frombuffer(data, EXAMPLE_DTYPE)
        return None

    def _remove_unreferenced(self) -> None:
        used = {m["data_file"] for m in map(self._read_manifest, (_MANIFEST, _PREVIOUS)) if m}
        for path in self.directory.glob("replay-*.bin"):
            if path.name not in used:
                with suppress(OSError):
                    os.unlink(path)
