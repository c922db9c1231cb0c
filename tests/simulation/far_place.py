"""The far place of snapshots: files in memory, behind a network that fails."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.kernel import Kernel, Killed
from zebfast.exchange import TransientError
from zebfast.exchange.mirror.manifest import MANIFEST, POINTER

Tree = dict[str, bytes]


class FarPlace:
    """A FarPlace as ``zebfast.exchange.mirror.mirror`` knows it.

    ``away_until``: nobody is answered before.
    """

    label = "the far place"

    def __init__(self, kernel: Kernel, rng: random.Random) -> None:
        self._kernel, self._rng = kernel, rng
        self.files: Tree = {}
        self.away_until = 0.0
        self.loses_replies = 0.0

    def probe(self) -> None:
        self._answer()

    def folders(self) -> list[str]:
        self._answer()
        return sorted({name.split("/")[0] for name in self.files if "/" in name})

    def read(self, name: str) -> bytes | None:
        self._answer()
        return self.files.get(name)

    def fetch(self, folder: str, names: Sequence[str], directory: Path) -> None:
        for name in names:
            self._answer()
            data = self.files.get(f"{folder}/{name}")
            if data is not None:
                (directory / name).write_bytes(data)

    def replace(
        self, folder: str, paths: Sequence[Path], pointer: bytes, drop: Sequence[str]
    ) -> None:
        for path in paths:
            self._put(f"{folder}/{path.name}", path.read_bytes())
        self._put(POINTER, pointer)
        for name in drop:
            self._answer()
            self.files.pop(f"{name}/{MANIFEST}", None)
            for each in [each for each in self.files if each.startswith(f"{name}/")]:
                del self.files[each]

    def _put(self, name: str, data: bytes) -> None:
        self._answer()
        self.files[name] = data
        if self._rng.random() < self.loses_replies:
            raise TransientError("the far place: its answer was lost")

    def _answer(self) -> None:
        task = self._kernel.current
        if task is not None:
            if task.process.dead:
                raise Killed
            if self._rng.random() < 0.1:
                self._kernel.block(self._rng.uniform(0, 60))
        if self._kernel.now < self.away_until:
            raise TransientError("the far place cannot be reached")
