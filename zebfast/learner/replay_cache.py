"""The replay buffers on the local disk, so that a restart does not begin with empty ones.

A save is a flat data file and then a manifest that names it, with size and CRC. The previous pair
stays until the next save, so at every moment one complete pair exists. The manifest also lists
the example files whose records are inside; the learner deletes example files only when such a list
has them, so no example is lost with the process. Rows of an older version have no final points and
are taken as they are; flags that this version does not know make the whole save unusable.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zebfast.core.records import (
    EXAMPLE_DTYPE,
    EXAMPLE_EVAL_AUX,
    EXAMPLE_HAS_BELIEF,
    EXAMPLE_HAS_PLAY_VALUES,
    EXAMPLE_HAS_POINTS,
    EXAMPLE_HAS_POLICY,
    EXAMPLE_POINTS_SHIFT,
)
from zebfast.learner.replay import ReplayBuffer, packed_rows
from zebfast.net.output import N_POINTS
from zebfast.system.files import remove_leftovers, write_atomic

_MANIFEST = "manifest.json"
_PREVIOUS = "manifest.previous.json"
_DATA_FILE = re.compile(r"replay-[0-9a-f]{8}\.bin")
# An example and, as uint32, how often it has been drawn; first all of those, then all of these.
_RECORD_BYTES = EXAMPLE_DTYPE.itemsize + 4
_KNOWN_FLAGS = (
    EXAMPLE_HAS_POLICY
    | EXAMPLE_HAS_BELIEF
    | EXAMPLE_EVAL_AUX
    | EXAMPLE_HAS_POINTS
    | EXAMPLE_HAS_PLAY_VALUES
)


@dataclass(frozen=True)
class ReplayCache:
    """Replay cache of one lineage in its own ``directory``."""

    directory: Path
    lineage: str

    def save(self, buffers: Sequence[ReplayBuffer], names: set[str]) -> None:
        """Write the buffers and the names of the files in them.

        Raises OSError; the old pair stays.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        data = b"".join(
            part
            for buffer in buffers
            for part in (packed_rows(buffer.contents()).tobytes(), buffer.draws().tobytes())
        )
        data_file = f"replay-{secrets.token_hex(4)}.bin"
        manifest = {
            "lineage": self.lineage,
            "record_bytes": _RECORD_BYTES,
            "data_file": data_file,
            "crc32": zlib.crc32(data),
            "buffers": [
                {
                    "n_records": len(buffer),
                    "capacity": buffer.capacity,
                    "total_added": buffer.total_added,
                }
                for buffer in buffers
            ],
            "files": sorted(names),
        }
        write_atomic(self.directory / data_file, data)
        with suppress(FileNotFoundError):
            write_atomic(self.directory / _PREVIOUS, (self.directory / _MANIFEST).read_bytes())
        write_atomic(self.directory / _MANIFEST, json.dumps(manifest).encode())
        self._remove_unreferenced()

    def load(self, *buffers: ReplayBuffer) -> set[str] | None:
        """Fill ``buffers``, as many as are given, from the newest usable save.

        Returns the names of the files in it, or None if there is no such save.
        """
        remove_leftovers(self.directory, lambda name: True)  # the directory is this cache's alone
        for name in (_MANIFEST, _PREVIOUS):
            manifest = self._read_manifest(name)
            data = None if manifest is None else self._read_data(manifest)
            if manifest is None or data is None:
                continue
            held = _parts(data, manifest)
            if not all(_flags_are_known(records) for records, _ in held):
                continue
            for buffer, saved, part in zip(buffers, manifest["buffers"], held, strict=False):
                buffer.restore(*part, capacity=saved["capacity"], total_added=saved["total_added"])
            return set(manifest["files"])
        return None

    def saved_files(self) -> tuple[Path, Path] | None:
        """Manifest and data file of the newest save; None if there is none."""
        manifest = self._read_manifest(_MANIFEST)
        if manifest is None:
            return None
        return self.directory / _MANIFEST, self.directory / manifest["data_file"]

    def install(self, manifest: Path, directory: Path) -> bool:
        """Take over copies of a save: its manifest, and its data file in ``directory``.

        False if they are not a save of this lineage. Raises OSError; the old pair stays.
        """
        try:
            name = json.loads(manifest.read_bytes())["data_file"]
        except (ValueError, KeyError, TypeError):
            return False
        if not isinstance(name, str) or not _DATA_FILE.fullmatch(name):
            return False
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomic(self.directory / name, (directory / name).read_bytes())
        write_atomic(self.directory / _MANIFEST, manifest.read_bytes())
        self._remove_unreferenced()
        return self._read_manifest(_MANIFEST) is not None

    def _read_manifest(self, name: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            manifest = json.loads((self.directory / name).read_bytes())
            if (
                manifest.get("lineage") == self.lineage
                and manifest.get("record_bytes") == _RECORD_BYTES
            ):
                return dict(manifest)
        return None

    def _read_data(self, manifest: dict[str, Any]) -> bytes | None:
        with suppress(OSError):
            data: bytes = (self.directory / manifest["data_file"]).read_bytes()
            n_records = sum(saved["n_records"] for saved in manifest["buffers"])
            if len(data) == n_records * _RECORD_BYTES and zlib.crc32(data) == manifest["crc32"]:
                return data
        return None

    def _remove_unreferenced(self) -> None:
        used = {m["data_file"] for m in map(self._read_manifest, (_MANIFEST, _PREVIOUS)) if m}
        for path in self.directory.glob("replay-*.bin"):
            if path.name not in used:
                with suppress(OSError):
                    os.unlink(path)


def _parts(
    data: bytes, manifest: dict[str, Any]
) -> list[tuple[NDArray[np.void], NDArray[np.uint32]]]:
    """Records and draws of each buffer in the data of a save."""
    parts, start = [], 0
    for saved in manifest["buffers"]:
        n = saved["n_records"]
        records = np.frombuffer(data, EXAMPLE_DTYPE, n, start)
        draws = np.frombuffer(data, np.uint32, n, start + n * EXAMPLE_DTYPE.itemsize)
        parts.append((records, draws))
        start += n * _RECORD_BYTES
    return parts


def _flags_are_known(records: NDArray[np.void]) -> bool:
    flags = records["flags"]
    points = flags >> EXAMPLE_POINTS_SHIFT
    low = flags & ((1 << EXAMPLE_POINTS_SHIFT) - 1)
    is_possible = (points < N_POINTS) & ((points == 0) | (flags & EXAMPLE_HAS_POINTS > 0))
    return bool((is_possible & (low | _KNOWN_FLAGS == _KNOWN_FLAGS)).all())
