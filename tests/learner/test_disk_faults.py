"""Whole learner runs over a disk that fails for a moment, or for good."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disk_faults import PASSING, DiskFaults, Rule, environment
from learning import learn, run, state_of

from zebfast.exchange import LocalWeightStore, StoreOptions, TransientError, errors
from zebfast.learner.checkpoints import CheckpointManager
from zebfast.learner.config import LearnerConfig
from zebfast.learner.data.replay import ReplayBuffer, ReplayCache
from zebfast.learner.metrics import read_metrics
from zebfast.learner.snapshots import Snapshots
from zebfast.learner.state import load_checkpoint

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]

#: Calls on files of a run, and what the files are called.
TOUCHED = (
    ("open", r"run/\.model\.learner\.lock"), ("open", r"run/training_state\.json$"),
    ("open", r"run/config\.json$"), ("open", r"run/model\.pt$"), ("open", r"run/model\.ckpt$"),
    ("list", r"run/examples$"), ("open", r"run/examples/w_"), ("open", r"run/metrics\.jsonl$"),
    ("open", r"cache/.*manifest\.json$"), ("open", r"cache/.*\.bin$"),
    ("rename", r"run/training_state\.json$"), ("rename", r"run/model\.pt$"),
    ("rename", r"run/model\.ckpt$"), ("rename", r"run/best\.pt$"), ("rename", r"cache/"),
    ("sync", r"run/\.model\."), ("sync_directory", r"run$"), ("list", r"snapshots"),
)  # fmt: skip


def test_every_passing_fault_is_waited_out(
    make_config: Make,
    add_file: AddFile,
    disk_faults: DiskFaults,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A run whose every call on a file fails a few times comes to its end all the same."""
    monkeypatch.setattr(errors, "_MAX_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(errors, "_MOMENT", 0.0)
    stores = StoreOptions(state_dir=tmp_path / "run", retry_seconds=0.001)
    config = make_config(max_cycles=1, stores=stores, snapshot_every=1)
    for number in range(2):
        add_file(config.examples.path, number)
    lines: list[str] = []
    for start in range(2):
        for number, (call, match) in enumerate(TOUCHED):
            code = PASSING[(number + start) % len(PASSING)]
            disk_faults.fail(call, match, code, times=6)  # more than a moment's tries
        lines += run(config)
    failed = {call for call, _ in disk_faults.failed}
    assert failed == {"open", "list", "rename", "sync", "sync_directory"}
    assert len(disk_faults.failed) > 9 * len(TOUCHED)
    state = state_of(config)
    assert (state["step"], state["total_games"], state["optimizer_steps"]) == (2, 4, 8)
    steps = [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert steps == [1, 2]
    told = [line for line in lines if "trying again until it passes" in line]
    assert told
    assert all(str(tmp_path / "run") in line for line in told), "each names its file"
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_fault_that_lasts_saves_what_was_trained_and_names_the_file(
    make_config: Make, add_file: AddFile, disk_faults: DiskFaults
) -> None:
    config = make_config(max_cycles=None, max_minutes=None, checkpoint_every=1000, push_every=3)
    add_file(config.examples.path, 1)
    run(make_config(max_cycles=1))
    disk_faults.fail("rename", r"run/model\.pt$", errno.EROFS)
    with pytest.raises(OSError, match="Read-only") as raised:
        learn(config, say=lambda line: None)
    assert raised.value.filename == str(config.stores.state_dir / "model.pt")
    saved = load_checkpoint(config.checkpoint_path)
    assert saved is not None
    assert saved.progress.step >= 3


def test_a_bug_in_a_thread_is_heard_and_saves_what_was_trained(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(max_minutes=None, push_every=2, checkpoint_every=1000)
    add_file(config.examples.path, 1)
    run(make_config(max_cycles=1))

    def publish(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(LocalWeightStore, "publish", publish)
    with pytest.raises(ZeroDivisionError):
        learn(config, say=lambda line: None)
    saved = load_checkpoint(config.checkpoint_path)
    assert saved is not None
    assert saved.progress.step >= 2


def test_an_error_between_two_steps_loses_none_of_them(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a cycle, where nothing would have been saved for long."""
    config = make_config(training_steps_per_cycle=1000)
    add_file(config.examples.path, 1)
    asked = iter(range(10))

    def attend(self: CheckpointManager) -> None:
        if next(asked) == 3:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), "somewhere")

    monkeypatch.setattr(CheckpointManager, "attend_publisher", attend)
    with pytest.raises(OSError, match="Read-only"):
        learn(config, say=lambda line: None)
    saved = load_checkpoint(config.checkpoint_path)
    assert saved is not None
    assert saved.trainer["optimizer_steps"] >= 32


def test_a_stop_while_a_disk_fails_is_heard_soon(
    make_config: Make, add_file: AddFile, disk_faults: DiskFaults, tmp_path: Path
) -> None:
    """The checkpoint is tried for as long as a last push is, and then the fault is told."""
    stores = StoreOptions(state_dir=tmp_path / "run", retry_seconds=0.001)
    config = make_config(stores=stores, max_minutes=None)
    add_file(config.examples.path, 1)
    disk_faults.fail("rename", r"model\.ckpt$", errno.EIO)

    def say(line: str) -> None:
        if "until it passes" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LearnerConfig, "last_push_seconds", 0.05)
        with pytest.raises(TransientError, match=r"Input/output error: '.*model\.ckpt'"):
            learn(config, say=say)


def test_what_cannot_be_read_now_does_not_count_as_gone(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    """Else the newest save's data would be deleted, and a run would resume from an older state."""
    cache, buffer = ReplayCache(tmp_path, "one"), ReplayBuffer(4)
    cache.save([buffer], {"first"})
    disk_faults.fail("open", r"/manifest\.json$", errno.ESTALE, times=2)
    for _ in range(2):
        with pytest.raises(OSError, match="Stale"):
            cache.load(buffer)
    assert cache.load(buffer) == {"first"}
    disk_faults.fail("open", r"\.bin$", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output"):
        cache.load(buffer)
    folder = tmp_path / "snapshots" / "step-00000001-01234567"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    disk_faults.fail("open", r"snapshots", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output"):
        Snapshots(tmp_path / "snapshots", "one").complete()
    assert Snapshots(tmp_path / "snapshots", "one").complete() == []


@pytest.mark.slow
def test_a_learner_on_a_disk_that_fails_now_and_then(
    make_config: Make, add_file: AddFile, init_path: Path, tmp_path: Path
) -> None:
    """A process of its own, of which one call in forty on a file of the run fails."""
    config, log = make_config(), tmp_path / "faults"
    for number in range(3):
        add_file(config.examples.path, number)
    calls = ("open", "list", "rename", "sync", "sync_directory", "mkdir", "stat", "link")
    rules = [Rule(calls=calls, match=r"/run\b", code=code, rate=0.004) for code in PASSING]
    command = (
        "--repo-id", tmp_path / "run", "--input-dir", config.examples.path, "--checkpoint",
        init_path, "--min-buffer-size", "28", "--batch-size", "8", "--max-cycles", "5",
        "--training-steps-per-cycle", "4", "--push-every", "1", "--snapshot-every", "1",
        "--retry-seconds", "0.01", "--poll-seconds", "0.01", "--threads", "1", "--device", "cpu",
        "--disk-limit", "0", "--eval-every", "0",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-u", "-m", "zebfast.learner", *map(str, command)],
        env=os.environ | environment(rules, seed=1, log=log), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert len(log.read_text().splitlines()) >= 3
    state = state_of(config)
    assert (state["step"], state["total_games"], state["optimizer_steps"]) == (5, 6, 20)
    assert not list((tmp_path / "run").glob("*.tmp"))
