"""Stores that answer late, and what waits for its upload when a worker ends."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listening import work
from workers import one_batch

from zebfast.cli.worker import config_from_flags, worker
from zebfast.exchange import (
    ExchangeError,
    LocalExampleStore,
    LocalWeightStore,
    StoreOptions,
    TransientError,
)
from zebfast.selfplay.example_files import read_examples
from zebfast.worker import loop
from zebfast.worker.config import WorkerConfig


class SlowStore(LocalExampleStore):
    """Examples in a directory, of which ``held`` have not reached the store."""

    held = 0
    closed: list[float]

    def waiting(self) -> int:
        return self.held

    def close(self, grace: float) -> int:
        self.closed.append(grace)
        return self.held


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    """One batch of four quick games with a published network."""
    stores = StoreOptions(state_dir=tmp_path / "run", retry_seconds=0.01)
    return one_batch(tmp_path, stores=stores, upload_grace=7.0)


@pytest.fixture
def store(config: WorkerConfig, monkeypatch: pytest.MonkeyPatch) -> SlowStore:
    """The example store that the worker opens."""
    assert config.examples.path is not None
    opened = SlowStore(config.examples.path, config.namespace)
    monkeypatch.setattr(SlowStore, "closed", [], raising=False)
    monkeypatch.setattr(SlowStore, "held", 0)
    monkeypatch.setattr(loop, "open_examples", lambda *_, **__: opened)
    return opened


def fail_pulls(monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> None:
    """Make the next pulls of any weight store fail, in order."""
    pull = LocalWeightStore.pull

    def failing(self: LocalWeightStore, **how: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return pull(self, **how)

    monkeypatch.setattr(LocalWeightStore, "pull", failing)


def test_uploads_are_closed_at_the_end(config: WorkerConfig, store: SlowStore) -> None:
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert store.closed == [7.0]
    assert not any("waiting" in line for line in said)


def test_what_still_waits_is_said(
    config: WorkerConfig, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlowStore, "held", 3)
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert f"uploading what waits for {store.label} (files: 3, for at most 7 s)" in said[-2]
    assert f"files still waiting in {store.local_dir}: 3; run the same command again" in said[-1]


def test_errors_close_the_uploads_too(
    config: WorkerConfig, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_pulls(monkeypatch, [ExchangeError("the token is refused")])
    with pytest.raises(ExchangeError, match="token"):
        work(config, say=lambda _: None)
    assert store.closed == [7.0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_closes_the_uploads_and_a_second_one_does_not_wait(
    config: WorkerConfig,
    store: SlowStore,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    def stop_at(line: str) -> None:
        if "Playing on" in line:
            os.kill(os.getpid(), number)

    endless = replace(config, max_batches=None)
    assert work(endless, say=stop_at) == code
    assert store.closed == [7.0]

    def interrupted(self: SlowStore, grace: float) -> int:
        store.closed.append(grace)
        raise KeyboardInterrupt

    monkeypatch.setattr(SlowStore, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work(endless, say=stop_at)
    assert store.closed == [7.0, 7.0]


def test_an_interrupt_of_the_games_skips_the_uploads(
    config: WorkerConfig, store: SlowStore
) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(config, say=interrupt)
    assert store.closed == []


def test_passing_faults_at_the_start_are_waited_out(
    config: WorkerConfig, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = ["down", "down", "down", "slow"]
    fail_pulls(monkeypatch, [TransientError(fault) for fault in faults])
    said: list[str] = []
    assert work(config, say=said.append) == 0
    waits = [line for line in said if "will retry" in line]
    assert [line.rpartition(" ")[2] for line in waits] == ["down", "slow"]


def test_passing_faults_while_playing_keep_the_weights(
    config: WorkerConfig, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        if "Playing on" in line:
            fail_pulls(monkeypatch, [TransientError("down")])
        said.append(line)

    assert work(replace(config, max_batches=2, weight_sync_interval=1), say=say) == 0
    assert "  weight sync error (will retry): down" in said
    assert sum("batch" in line for line in said) == 2


def test_a_put_that_failed_late_is_not_there_twice(
    config: WorkerConfig, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file got its name, and only then the disk was full: the next attempt is the same file."""
    faults = [OSError(errno.ENOSPC, "No space left on device"), TransientError("down")]

    def late(self: SlowStore, name: str, write: Callable[[Path], None]) -> None:
        LocalExampleStore.put(self, name, write)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(SlowStore, "put", late)
    assert work(config, say=lambda _: None) == 0
    assert not faults
    [path] = store.local_dir.glob("worker-0_*")
    assert read_examples(path).n_games == 4


@pytest.mark.parametrize(
    ("place", "n_workers", "seconds"),
    [
        (("--examples-repo-id", "me/x"), "", 30.0),
        (("--examples-repo-id", "me/x"), "1", 240.0),
        (("--examples-repo-id", "me/x"), "20", 720.0),
        (("--examples-bucket", "me/x"), "20", 30.0),
        (("--output-dir", "x"), "20", 30.0),
    ],
)
def test_interval_from_the_number_of_workers(
    place: tuple[str, str], n_workers: str, seconds: float
) -> None:
    """Repositories alone have a quota of commits; a longer interval may be asked for."""
    hint = ("--n-workers", n_workers) if n_workers else ()

    def interval(wanted: str) -> float:
        flags = ["--repo-id", "me/w", *place, "--upload-interval", wanted, *hint]
        context = worker.make_context("worker", flags)
        return config_from_flags(context.params)[0].stores.upload_interval

    assert interval("30") == seconds
    assert interval("1000") == 1000.0
