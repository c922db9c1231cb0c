"""A disk that fills up while a batch is handed over, and frees up again."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listening import work
from workers import one_batch

from zebfast.exchange import LocalExampleStore, Place
from zebfast.exchange.hub.uploader import Uploader
from zebfast.selfplay.example_files import read_examples
from zebfast.selfplay.examples import write_native
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


def test_other_disk_faults_end_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = one_batch(tmp_path)

    def broken(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(LocalExampleStore, "put", broken)
    with pytest.raises(OSError, match="Read-only"):
        work(config, say=lambda line: None)
    assert not list((tmp_path / "examples").glob("worker-0_*"))
