"""A year of 1,000 workers: the learner's own counting, saving and publishing, with time sped up.

Every worker hands over a file a day and starts anew about every eleven days. Files are listed
eight times a day, pruned, forgotten; the run is saved and published once a day.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from zebfast.core.records import EXAMPLE_DTYPE
from zebfast.exchange import LocalWeightStore, Namespace, Serial, example_name
from zebfast.exchange.names import new_session
from zebfast.learner.config import TrainerConfig
from zebfast.learner.data import ingest
from zebfast.learner.data.ingest import Ingestor
from zebfast.learner.data.reader import FileRead, ScanDone
from zebfast.learner.data.replay import ReplayMixture
from zebfast.learner.recipe import LED_RECIPE, led_recipe
from zebfast.learner.run_log import RunStatus
from zebfast.learner.schedule import Schedule
from zebfast.learner.state import (
    Progress,
    TrainingCheckpoint,
    counted_state,
    load_checkpoint,
    save_checkpoint,
)
from zebfast.selfplay.examples import Examples

N_WORKERS, DAYS, SCANS_A_DAY, FILES_A_DAY = 1000, 365, 8, 1
LOOK, STATE = 100_000, 1_000_000  # bytes that a worker reads at a look, and all that is published
WEIGHTS = {"w": np.zeros(2)}


class Reader:
    """Where the files of a year are listed: what ExampleReader is to an Ingestor."""

    def __init__(self, *, keeps_all: bool) -> None:
        self.keeps_all = keeps_all
        self.listed: dict[str, None] = {}
        self.found: list[FileRead | ScanDone] = []
        self._scans = 0

    def scan(self, files: Iterable[FileRead]) -> None:
        self.found = list(files)
        self.listed.update(dict.fromkeys(file.name for file in self.found))
        self._scans += 1
        self.found.append(ScanDone(self._scans, list(self.listed)))

    def take(self, _wait: float) -> list[FileRead | ScanDone]:
        return self.found

    def delete(self, names: Iterable[str]) -> None:
        """Deleted, or with ``keeps_all`` moved where nobody lists them."""
        for name in list(names):
            self.listed.pop(name, None)


class Workers:
    """All of them: each scan finds what some have handed over since the last."""

    def __init__(self) -> None:
        self._rng = random.Random(1)
        self._sessions = [new_session() for _ in range(N_WORKERS)]
        self._numbers = [0] * N_WORKERS
        self._next = 0
        self._records = np.zeros(28, EXAMPLE_DTYPE)

    def files(self, n: int, unix: float) -> Iterable[FileRead]:
        for _ in range(n):
            worker = self._next
            self._next = (worker + 1) % N_WORKERS
            if self._rng.random() < 1 / 11:
                self._sessions[worker], self._numbers[worker] = new_session(), 0
            serial = Serial(self._sessions[worker], self._numbers[worker])
            self._numbers[worker] += 1
            worker_id = f"zeb-an-experiment-selfplay-{worker:08x}"
            metadata: dict[str, Any] = {
                "worker_id": worker_id, "model_step": 1, "n_games": 1, "source": "selfplay-mcts",
                **serial.to_metadata(),
            }  # fmt: skip
            name = example_name(worker_id, unix, serial=serial)
            yield FileRead(name, Examples(self._records, metadata))


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.parametrize("keep", [128, 0], ids=["pruned", "nothing is deleted"])
def test_a_year(keep: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(ingest, "time", SimpleNamespace(monotonic=lambda: now[0]))
    config = TrainerConfig(recipe=led_recipe(replay_buffer_size=1000, min_buffer_size=1))
    progress, mixture, workers = Progress("year"), ReplayMixture(config), Workers()
    reader: Any = Reader(keeps_all=not keep)
    status = RunStatus(progress, mixture, Schedule(LED_RECIPE, progress, mixture), None)
    taken = Ingestor(
        reader, mixture, progress, held=(), has_belief_head=False, has_points_head=False
    )
    store = LocalWeightStore(tmp_path, Namespace())
    in_memory: list[int] = []
    largest = dict.fromkeys(("a look", "published", "checkpoint"), 0)
    for day in range(DAYS):
        for _ in range(SCANS_A_DAY):
            now[0] += 86_400 / SCANS_A_DAY
            n_files = N_WORKERS * FILES_A_DAY // SCANS_A_DAY
            reader.scan(workers.files(n_files, 1_790_000_000 + now[0]))
            taken.adopt()
            taken.prune(keep=keep, durable=lambda name: True)
        progress.step += 1
        store.publish(WEIGHTS, {}, counted_state(progress, day) | status.state())
        save_checkpoint(tmp_path / "model.ckpt", TrainingCheckpoint(progress, WEIGHTS, {}, {}))
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        published = sum(size for name, size in sizes.items() if "state" in name or "ledger" in name)
        for what, size in zip(
            largest, (sizes["training_state.json"], published, sizes["model.ckpt"]), strict=True
        ):
            largest[what] = max(largest[what], size)
        in_memory.append(memory())
    grown = in_memory[-1] - in_memory[DAYS // 4]
    print(f"largest: {largest}; memory grew by {grown:,} bytes over the last nine months")
    assert progress.total_games == DAYS * N_WORKERS * FILES_A_DAY
    assert largest["a look"] <= LOOK
    assert largest["published"] <= STATE
    assert grown < 32 << 20
    saved = load_checkpoint(tmp_path / "model.ckpt")
    assert saved is not None
    assert saved.progress.sessions == progress.sessions
