"""Snapshots of a whole training state: complete or not there, the last few, never in the way."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from learning import run, state_of
from states import make_state

from zebfast.exchange.mirror.manifest import MANIFEST, Manifest
from zebfast.learner import snapshots
from zebfast.learner.config import LearnerConfig
from zebfast.learner.snapshots import CHECKPOINT, METRICS, REPLAY, Snapshot, Snapshots
from zebfast.learner.state import load_checkpoint

Make = Callable[..., LearnerConfig]
AddFile = Callable[..., str]


def assembled(made: Snapshots, home: Path, step: int, lineage: str = "l1") -> Snapshot:
    """A snapshot of a small state."""
    directory, manifest = make_state(home, step, lineage)

    def fill(target: Path) -> Manifest:
        for name in manifest.files:
            (target / name).write_bytes((directory / name).read_bytes())
        return manifest

    return made.assemble(fill)


def steps(made: Snapshots) -> list[int]:
    return [snapshot.manifest.step for snapshot in made.complete()]


def test_a_run_leaves_its_last_snapshots(make_config: Make, add_file: AddFile) -> None:
    config = make_config(
        max_cycles=5, snapshot_every=1, keep_snapshots=2, replay_cache_save_every=100
    )
    add_file(config.examples.path, 1)
    run(config)
    lineage = state_of(config)["lineage"]
    found = Snapshots(config.snapshots_path, lineage).complete()
    assert [s.manifest.step for s in found] == [5, 4]  # that of the end is that of cycle 5
    newest = found[0]
    assert sorted(path.name for path in config.snapshots_path.iterdir()) == sorted(
        s.path.name for s in found
    )
    newest.manifest.check(newest.path)
    assert (newest.manifest.total_games, newest.manifest.lineage) == (2, lineage)
    assert {CHECKPOINT, METRICS, REPLAY} < set(newest.manifest.files)
    saved = load_checkpoint(newest.path / CHECKPOINT)
    assert saved is not None
    assert saved.progress.step == 5
    assert (newest.path / METRICS).read_bytes() == config.metrics_path.read_bytes()
    assert os.path.samefile(newest.path / CHECKPOINT, config.checkpoint_path)  # no copy of it


def test_without_the_flag_there_are_none(make_config: Make, add_file: AddFile) -> None:
    config = make_config(max_cycles=2)
    add_file(config.examples.path, 1)
    run(config)
    assert not config.snapshots_path.exists()


def test_only_whole_ones_are_seen_and_others_are_left_alone(tmp_path: Path) -> None:
    directory = tmp_path / "snapshots"
    made = Snapshots(directory, "l1")
    for step in (1, 2, 3, 4):
        assembled(made, tmp_path / "near", step)
    foreign = assembled(Snapshots(directory, "l2"), tmp_path / "near", 9, "l2")
    cut, unsaid = made.complete()[0].path, made.complete()[1].path
    (cut / CHECKPOINT).write_bytes((cut / CHECKPOINT).read_bytes()[:-1])
    (unsaid / MANIFEST).unlink()
    (directory / "step-of-my-own").mkdir()
    for name in (".l1-abc.tmp", ".l2-abc.tmp"):
        (directory / name).mkdir()
    made = Snapshots(directory, "l1")
    assert steps(made) == [2, 1]
    made.prune(1, busy=())
    assert steps(made) == [2]
    assert foreign.path.exists()
    assert (directory / "step-of-my-own").exists()
    assert [path.name for path in directory.glob(".*")] == [".l2-abc.tmp"]


def test_what_is_being_sent_stays(tmp_path: Path) -> None:
    made = Snapshots(tmp_path / "snapshots", "l1")
    first = assembled(made, tmp_path, 1)
    for step in (2, 3):
        assembled(made, tmp_path, step)
    made.prune(1, busy={first.path.name})
    assert steps(made) == [3, 1]


@pytest.mark.parametrize(
    ("at", "newest_first"),
    [
        (None, [(4, 9, 0), (3, 9, 2), (3, 9, 0), (3, 8, 5)]),
        # A machine that went on from less: what lies beyond is a branch that was given up.
        ((3, 9, 0), [(3, 9, 0), (3, 8, 5), (4, 9, 0), (3, 9, 2)]),
    ],
)
def test_the_furthest_is_the_newest_whatever_its_clock_said(
    tmp_path: Path, at: tuple[int, int, int] | None, newest_first: list[tuple[int, int, int]]
) -> None:
    made = Snapshots(tmp_path / "snapshots", "l1", at=at)
    for clock, standing in enumerate(((4, 9, 0), (3, 8, 5), (3, 9, 2), (3, 9, 0))):
        manifest = Manifest(*standing[:2], "l1", None, "1", 1e9 * clock, {}, standing[2])
        made.assemble(lambda _, manifest=manifest: manifest)
    assert [s.manifest.standing for s in made.complete()] == newest_first
    made.prune(2, busy=())
    assert [s.manifest.standing for s in made.complete()] == newest_first[:2]


def test_after_a_clock_was_set_back_the_newest_snapshots_stay(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    far = f"file://{tmp_path}/far"
    config = make_config(snapshot_every=1, keep_snapshots=2, sync_to=far, max_cycles=3)
    add_file(config.examples.path, 1)
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda now=time.time: now() + 86_400)
        run(config)
    run(config)
    found = Snapshots(config.snapshots_path, state_of(config)["lineage"])
    assert steps(found) == [6, 5]
    sent = json.loads((tmp_path / "far" / "model" / "latest.json").read_bytes())["states"]
    assert sent[0] == found.complete()[0].path.name
    assert sorted(path.name for path in (tmp_path / "far" / "model").glob("step-*")) == sorted(sent)
    assert all(list((tmp_path / "far" / "model" / name).iterdir()) for name in sent)


def test_a_full_disk_costs_a_snapshot_and_nothing_else(
    make_config: Make, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(max_cycles=4, snapshot_every=1, keep_snapshots=10)
    add_file(config.examples.path, 1)
    flush, calls = snapshots._flush, list[Path]()

    def full(path: Path) -> None:
        calls.append(path)
        if 6 < len(calls) < 9:  # in the middle of the second and of the third
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        flush(path)

    monkeypatch.setattr(snapshots, "_flush", full)
    lines = run(config)
    refused = [line for line in lines if "no snapshot of cycle" in line]
    assert len(refused) == 2, lines
    assert "No space left" in refused[0]
    assert state_of(config)["step"] == 4
    found = Snapshots(config.snapshots_path, state_of(config)["lineage"])
    assert steps(found) == [4, 1]
    assert not list(config.snapshots_path.glob(".*"))
