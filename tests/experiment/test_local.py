"""A worker and a learner as one run: what they count, that they end, what is said if one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from quick import QUICK_LEARNER, QUICK_WORKER, tiny_checkpoint

from zebfast.exchange import LocalWeightStore, Namespace
from zebfast.experiment.local_run import LocalRun, LocalRunConfig, RunFailed, RunStatus
from zebfast.selfplay.example_files import read_examples


@pytest.fixture
def config(tmp_path: Path) -> LocalRunConfig:
    cache = ("--local-replay-cache-dir", str(tmp_path / "cache"))
    pace = ("--training-steps-per-cycle", "4", "--eval-every", "5", "--push-every", "1")
    return LocalRunConfig(
        directory=tmp_path / "run",
        checkpoint=tiny_checkpoint(tmp_path / "init.pt"),
        worker_flags=QUICK_WORKER,
        learner_flags=(*QUICK_LEARNER, *pace, *cache),
    )


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Enough(Exception):
    """The run has got as far as the test needs it."""


def until_rated(run: LocalRun, seen: list[RunStatus], *, seconds: float = 60) -> None:
    """Watch until the first evaluation is there."""

    def on_status(status: RunStatus, _elapsed: float) -> None:
        seen.append(status)
        if status.win_rate is not None and status.games:
            raise Enough

    with pytest.raises(Enough):
        run.watch(seconds=seconds, every=0.2, on_status=on_status)


def test_everything_played_is_counted_and_both_processes_end(config: LocalRunConfig) -> None:
    seen: list[RunStatus] = []
    with LocalRun(config) as run:
        until_rated(run, seen)
        run.stop()
        pids = [process.pid for process in run._processes.values()]
        codes = [process.poll() for process in run._processes.values()]
        status = run.status()
    assert codes == [143, 143], "both ended by themselves, as SIGTERM asks"
    assert all(is_gone(pid) for pid in pids)
    files = [read_examples(p) for p in (config.directory / "examples").glob("worker-0_*")]
    played = sum(file.n_games for file in files)
    state = LocalWeightStore(config.directory, Namespace.parse(None)).read_state()
    assert state is not None
    assert state["total_games"] == played == status.games > 0
    assert status.examples == 28 * played == sum(len(file.records) for file in files)
    assert status.cycle == state["step"] > 0
    assert status.policy_loss is not None
    assert status.value_loss is not None
    assert status.games_per_second > 0
    assert [s.games for s in seen] == sorted(s.games for s in seen)
    assert not list(config.directory.rglob("*.tmp"))


def test_a_process_that_dies_is_reported_with_the_end_of_its_log(config: LocalRunConfig) -> None:
    with LocalRun(config) as run:
        learner = run._processes["learner"]
        os.kill(run._processes["worker"].pid, signal.SIGKILL)
        with pytest.raises(RunFailed, match=r"the worker ended with exit code -9.*worker\.log"):
            run.watch(seconds=30, every=0.1, on_status=lambda _status, _elapsed: None)
    assert is_gone(learner.pid)


def test_what_a_process_said_last_is_in_the_sentence(
    config: LocalRunConfig, tmp_path: Path
) -> None:
    wrong = LocalRunConfig(directory=config.directory, checkpoint=tmp_path / "absent.pt")
    with LocalRun(wrong) as run, pytest.raises(RunFailed, match=r"learner.*code 1: .*absent\.pt"):
        run.watch(seconds=30, every=0.1, on_status=lambda _status, _elapsed: None)


def test_processes_do_not_outlive_a_failed_start(
    config: LocalRunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(command: list[str], **more: object) -> subprocess.Popen[bytes]:
        if started:
            raise OSError("no more processes")
        started.append(real(command, **more))  # type: ignore[call-overload]
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(OSError, match="no more processes"), LocalRun(config):
        raise AssertionError("not reached")
    assert is_gone(started[0].pid)


WATCH = """
import sys
from pathlib import Path
from zebfast.experiment.local_run import LocalRun, LocalRunConfig
config = LocalRunConfig(directory=Path(sys.argv[1]), checkpoint=Path(sys.argv[2]))
with LocalRun(config) as run:
    print(*(process.pid for process in run._processes.values()), flush=True)
    run.watch(seconds=60, every=1, on_status=lambda status, elapsed: None)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_watcher_ends_both(
    config: LocalRunConfig, repo_root: Path, number: signal.Signals
) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCH, str(config.directory), str(config.checkpoint)],
        cwd=repo_root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert watcher.stdout is not None
    pids = [int(word) for word in watcher.stdout.readline().split()]
    watcher.send_signal(number)
    watcher.communicate(timeout=30)
    assert len(pids) == 2
    deadline = time.monotonic() + 30
    while not all(is_gone(pid) for pid in pids):
        assert time.monotonic() < deadline, "worker or learner outlived the run that started them"
        time.sleep(0.1)
