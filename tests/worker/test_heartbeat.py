"""What a worker says of itself, and that saying it never stops it."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listening import work
from runs import Start, publish
from workers import finish, one_batch, wait_for_line

from zebfast.exchange import ExchangeError, LocalExampleStore, Namespace, TransientError
from zebfast.exchange.heartbeat import Heartbeat, parse_heartbeat
from zebfast.worker import loop
from zebfast.worker.config import WorkerConfig
from zebfast.worker.heartbeat import HeartbeatSender, beating, gpu_facts


class Listener(LocalExampleStore):
    """A store that keeps every heartbeat, and fails as told."""

    heard: list[Heartbeat]
    faults: list[Exception]

    def beat(self, heartbeat: Heartbeat) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.heard.append(heartbeat)


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return replace(one_batch(tmp_path), max_batches=2, restarts=3, earlier_batches=5)


@pytest.fixture
def store(config: WorkerConfig, monkeypatch: pytest.MonkeyPatch) -> Listener:
    assert config.examples.path is not None
    opened = Listener(config.examples.path, config.namespace)
    monkeypatch.setattr(Listener, "heard", [], raising=False)
    monkeypatch.setattr(Listener, "faults", [], raising=False)
    monkeypatch.setattr(loop, "open_examples", lambda *_, **__: opened)
    return opened


def beats_of(store: Listener, config: WorkerConfig, clock: Callable[[], float]) -> HeartbeatSender:
    return HeartbeatSender(store, config, clock=clock)


def test_a_life_from_start_to_end(config: WorkerConfig, store: Listener) -> None:
    assert work(config, say=lambda line: None) == 0
    assert [beat.phase for beat in store.heard] == ["starting", "waiting", "playing", "stopped"]
    playing, last = store.heard[-2:]
    assert (playing.source, playing.batch, playing.progress) == ("selfplay-mcts", 0, "5")
    assert (last.batch, last.total_games, last.restarts, last.progress) == (2, 8, 3, "7")
    assert last.games_per_s > 0
    assert last.last_batch is not None
    assert playing.unix <= last.last_batch <= last.unix
    assert (last.gpu, last.gpu_memory, last.error) == (None, None, None)
    assert last.host
    assert last.version


def test_batches_are_told_every_ten_seconds_at_most(config: WorkerConfig, store: Listener) -> None:
    now = [100.0]
    beats = beats_of(store, config, lambda: now[0])
    beats.tell("playing")
    for number in range(1, 41):
        now[0] += 1.0
        beats.batch(number, total_games=number)
    assert [beat.batch for beat in store.heard] == [0, 10, 20, 30, 40]
    now[0] -= 1000.0  # a clock that is set back silences nobody
    beats.batch(41)
    beats.tell("stopped")
    assert [(beat.phase, beat.batch) for beat in store.heard[-2:]] == [
        ("playing", 41),
        ("stopped", 41),
    ]


def test_faults_of_the_store_are_said_once_and_stop_nothing(
    config: WorkerConfig, store: Listener
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    store.faults.extend([full, full, TransientError("down"), ExchangeError("refused")])
    said: list[str] = []
    assert work(config, say=said.append) == 0
    assert store.faults == []
    lines = [line for line in said if "heartbeat error" in line]
    assert [line.rpartition(": ")[2] for line in lines] == [
        str(full).rpartition(": ")[2], "down", "refused",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "phase", "words"),
    [
        (ExchangeError("the token is refused"), "failed", "the token is refused"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
        (KeyboardInterrupt(), "stopped", None),
    ],
)
def test_the_last_sign_says_how_it_ended(
    config: WorkerConfig, store: Listener, error: BaseException, phase: str, words: str | None
) -> None:
    def live() -> None:
        with beating(store, config) as beats:
            beats.tell("waiting")
            raise error

    with pytest.raises(type(error)):
        live()
    assert (store.heard[-1].phase, store.heard[-1].error) == (phase, words)


def test_a_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert gpu_facts("cpu") == (None, None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"RTX 3060 {device}")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
    assert gpu_facts("cuda:1") == ("RTX 3060 cuda:1", 3.0)

    def failed(device: str) -> Any:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "max_memory_allocated", failed)
    assert gpu_facts("cuda:1") == (None, None)


def test_a_process_leaves_its_sign_beside_its_examples(
    run_dir: Path, start: Start, tmp_path: Path
) -> None:
    store = LocalExampleStore(run_dir / "examples", Namespace())
    folder = run_dir / "examples" / "heartbeats"
    folder.mkdir(parents=True)
    (folder / ".worker-0.json.0123abcd.tmp").write_bytes(b"{")
    empty = tmp_path / "empty"
    empty.mkdir()
    process = start(repo=empty)
    wait_for_line("waiting for the learner", process)
    assert store.heartbeats()["worker-0"].phase == "waiting"
    publish(empty, step=4)
    wait_for_line("batch 1:", process)
    process.send_signal(signal.SIGTERM)
    code, _, err = finish(process)
    assert (code, err) == (143, "")
    [path] = folder.iterdir()
    beat = parse_heartbeat(path.read_bytes(), "worker-0.json")
    assert (beat.phase, beat.model_step, beat.restarts) == ("stopped", 4, 0)
    assert beat.batch >= 1
    assert beat.total_games >= 8 * (beat.batch - 1)
    assert all(name.startswith("worker-0_") for name in store.list())
