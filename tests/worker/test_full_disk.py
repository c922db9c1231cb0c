"""A disk that fills up while a batch is handed over, and frees up again."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import publish

from zebfast.core.options import SearchOptions
from zebfast.exchange import LocalExampleStore, Namespace, Place, StoreOptions
from zebfast.exchange.uploader import Uploader
from zebfast.selfplay.config import SelfPlayConfig
from zebfast.selfplay.examples import read_examples, write_native
from zebfast.worker import handover
from zebfast.worker.config import WorkerConfig
from zebfast.worker.loop import work


def config_of(tmp_path: Path) -> WorkerConfig:
    """One batch of four quick games with a published network."""
    publish(tmp_path / "run", step=0)
    return WorkerConfig(
        weights=Place.directory(tmp_path / "run"),
        examples=Place.directory(tmp_path / "examples"),
        stores=StoreOptions(state_dir=tmp_path / "run"),
        namespace=Namespace.parse(None),
        producer=SelfPlayConfig(n_parallel_games=4, search=SearchOptions(n_simulations=2)),
        games_per_batch=4,
        max_batches=1,
        seed=1,
        disk_retry_seconds=0.01,
    )


def test_full_disk_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(tmp_path)
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

    monkeypatch.setattr(handover, "write_native", full)
    monkeypatch.setattr(Uploader, "wake", lambda self: None)
    monkeypatch.setattr(Uploader, "close", lambda self, grace: 1)
    config = replace(config_of(tmp_path), examples=Place("dataset", "me/examples"))
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert sum("is full: 4 games wait in memory" in line for line in said) == 2
    assert ": 1; run the same command again" in said[-1]
    [path] = (tmp_path / "run").glob("*/spool/*/worker-0_*")
    assert read_examples(path).n_games == 4


def test_other_disk_faults_end_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(tmp_path)

    def broken(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(LocalExampleStore, "put", broken)
    with pytest.raises(OSError, match="Read-only"):
        work(config, say=lambda line: None)
    assert not list((tmp_path / "examples").glob("worker-0_*"))
