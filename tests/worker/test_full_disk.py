"""A disk that fills up or fails for a moment while a worker is at it, and is well again."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_faults import PASSING, DiskFaults
from listening import work
from runs import publish
from workers import one_batch

from zebfast.exchange import ExchangeError, LocalExampleStore, Place, StoreOptions
from zebfast.exchange import state as state_files
from zebfast.exchange.hub import dataset
from zebfast.exchange.hub.uploader import Uploader
from zebfast.exchange.names import MAX_EXAMPLE_FILE_BYTES
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import MAX_EXAMPLES, MOST_GAMES_A_FILE, write_native
from zebfast.worker import example_writer


def test_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = one_batch(tmp_path)
    put, failures = LocalExampleStore.put, [OSError(errno.ENOSPC, "No space left on device")] * 3

    def full(self: LocalExampleStore, name: str, write: object) -> None:
        if failures:
            raise failures.pop()
        put(self, name, write)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalExampleStore, "put", full)
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert sum("is full: 4 games wait in memory" in line for line in said) == 3
    [path] = (tmp_path / "examples").glob("worker-0_*")
    assert read_examples(path).n_games == 4


def test_full_disk_under_a_spool_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files for the Hub wait on a disk of their own, which can be full just as well."""
    failures = [OSError(errno.ENOSPC, "No space left on device")] * 2

    def full(path: Path, *written: Any) -> None:
        if failures:
            raise failures.pop()
        write_native(path, *written)

    monkeypatch.setattr(example_writer, "write_native", full)
    monkeypatch.setattr(Uploader, "wake", lambda self: None)
    monkeypatch.setattr(Uploader, "close", lambda self, grace: 1)
    config = replace(one_batch(tmp_path), examples=Place("dataset", "me/examples"))
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert sum("is full: 4 games wait in memory" in line for line in said) == 2
    assert ": 1; run the same command again" in said[-1]
    [path] = (tmp_path / "run").glob("*/spool/*/worker-0_*")
    assert read_examples(path).n_games == 4


def test_a_batch_of_more_games_than_a_file_may_hold_is_several_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is spoken for by itself: what a fault of the disk leaves out is never played again."""
    monkeypatch.setattr(example_writer, "MOST_GAMES_A_FILE", 3)
    config = replace(one_batch(tmp_path), seed=5, games_per_batch=8)
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert any("batch 1: 224 examples" in line for line in said)
    found = [read_examples(path) for path in (tmp_path / "examples").glob("worker-0_*")]
    found.sort(key=lambda examples: examples.metadata["number"])
    assert [(e.n_games, e.metadata["first_game"], e.metadata["number"]) for e in found] == [
        (3, 0, 0), (3, 3, 1), (2, 6, 2),
    ]  # fmt: skip
    assert len({e.metadata["session"] for e in found}) == 1
    games = np.concatenate([e.records["obs"].reshape(-1, 28) for e in found])
    assert len({game.tobytes() for game in games}) == 8

    put, left = LocalExampleStore.put, [1]

    def fails(self: LocalExampleStore, name: str, write: object) -> None:
        if not left:
            raise OSError(errno.EROFS, "Read-only file system")
        put(self, name, write)  # type: ignore[arg-type]
        left.pop()

    with monkeypatch.context() as patch:
        patch.setattr(LocalExampleStore, "put", fails)
        with pytest.raises(OSError, match="Read-only"):
            work(config, say=said.append)
    assert work(config, say=said.append) == 0
    found = [read_examples(path) for path in (tmp_path / "examples").glob("worker-0_*")]
    firsts = sorted(e.metadata["first_game"] for e in found)
    assert firsts == [0, 3, 6, 8, 14, 17, 20]


def test_what_a_reader_would_refuse_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = one_batch(tmp_path)
    monkeypatch.setattr(state_files, "is_count", lambda _: True)  # as if states had such steps
    publish(tmp_path / "run", step=1 << 53)
    with pytest.raises(ExchangeError, match="a learner could not read what worker-0 is about to"):
        work(config, say=lambda line: None)
    assert not list((tmp_path / "examples").glob("worker-0_*"))


def test_a_file_never_has_more_than_a_reader_takes() -> None:
    bytes_of_a_game = 28 * (36 * 8 * 4 + 36 + 7 * 8 + 7 + 7 * 4 + 4 + 28 * 8 + 28)  # as .pt
    assert MOST_GAMES_A_FILE * bytes_of_a_game < MAX_EXAMPLE_FILE_BYTES
    assert MOST_GAMES_A_FILE * 28 <= MAX_EXAMPLES
    assert MOST_GAMES_A_FILE % 2 == 0


def test_other_disk_faults_end_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = one_batch(tmp_path)

    def broken(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(LocalExampleStore, "put", broken)
    with pytest.raises(OSError, match="Read-only"):
        work(config, say=lambda line: None)
    assert not list((tmp_path / "examples").glob("worker-0_*"))


#: Calls on files of a worker, and what the files are called.
TOUCHED = (
    ("open", r"\.worker-0\.worker\.lock$"), ("list", r"examples$"), ("mkdir", r"heartbeats$"),
    ("open", r"\.worker-0\.progress\.json$"), ("open", r"run/training_state\.json$"),
    ("open", r"run/model\.pt$"), ("open", r"run/config\.json$"), ("rename", r"heartbeats/"),
    ("rename", r"\.worker-0\.progress\.json$"), ("open", r"/\.worker-0_.*\.tmp$"),
    ("sync", r"/\.worker-0_.*\.tmp$"), ("rename", r"/worker-0_"), ("sync_directory", r"examples$"),
)  # fmt: skip


def test_passing_faults_are_waited_out(tmp_path: Path, disk_faults: DiskFaults) -> None:
    """Each batch is handed over once, whatever the disk said on the way."""
    stores = StoreOptions(state_dir=tmp_path / "run", retry_seconds=0.001)
    config = replace(one_batch(tmp_path), stores=stores, max_batches=2, weight_sync_interval=1)
    for number, (call, match) in enumerate(TOUCHED):
        disk_faults.fail(call, match, PASSING[number % len(PASSING)], times=1)
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert len(disk_faults.failed) == len(TOUCHED)
    files = [read_examples(p) for p in (tmp_path / "examples").glob("worker-0_*")]
    assert [f.n_games for f in files] == [4, 4]
    assert {f.metadata["first_game"] for f in files} == {0, 4}
    told = [line for line in said if "retry" in line or "trying again" in line]
    assert all(str(tmp_path) in line for line in told), "each names its file"


def test_a_stop_while_a_disk_fails_still_hands_over(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    """The games in hand are tried for a while longer, not given up with the first fault."""
    disk_faults.fail("rename", r"/worker-0_", errno.EIO, times=8)

    def stop(line: str) -> None:
        if "will retry" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    assert work(one_batch(tmp_path), say=stop) == 143
    assert not disk_faults.failed[8:]
    [path] = (tmp_path / "examples").glob("worker-0_*")
    assert read_examples(path).n_games == 4


def test_passing_faults_under_a_spool_are_waited_out(
    tmp_path: Path, disk_faults: DiskFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files for the Hub wait on a disk of their own; its thread must not end for a fault of it."""
    sent: list[str] = []
    monkeypatch.setattr(dataset.Folder, "send", lambda self, files: sent.extend(files))
    monkeypatch.setattr(dataset.Folder, "find", lambda self, names: {})
    stores = StoreOptions(state_dir=tmp_path / "run", retry_seconds=0.001, upload_interval=0.0)
    config = replace(
        one_batch(tmp_path), stores=stores, examples=Place("dataset", "me/examples"), max_batches=3
    )
    for call in ("open", "mkdir", "list", "rename", "remove"):
        disk_faults.fail(call, r"/spool", PASSING[0], times=2)
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert len(disk_faults.failed) >= 8
    assert len({name for name in sent if name.startswith("worker-0_")}) == 3
    assert not list((tmp_path / "run").glob("*/spool/*/worker-0_*"))
