"""The disk guard on a disk of a chosen size: what goes, what stays, what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from learning import run
from listening import listening
from states import make_state

from zebfast.exchange.mirror.manifest import Manifest
from zebfast.learner import snapshots as keeper
from zebfast.learner.config import LearnerConfig
from zebfast.learner.snapshots import DiskGuard, Snapshots


class Disk:
    """A disk of 100 units: snapshots take one a step of theirs, everything else the rest."""

    def __init__(self, directory: Path, others: float) -> None:
        self.directory, self.others = directory, others

    def __call__(self, _: Path) -> SimpleNamespace:
        steps = [int(path.name.split("-")[1]) for path in self.directory.glob("step-*")]
        used = self.others + sum(steps)
        return SimpleNamespace(used=used, free=100 - used)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    """Snapshots of 10, 11, 12 and 13 units, the last being the newest."""
    made = Snapshots(tmp_path / "snapshots", "l1")
    for step in (10, 11, 12, 13):
        directory, manifest = make_state(tmp_path, step)

        def fill(target: Path, directory: Path = directory, own: Manifest = manifest) -> Manifest:
            for name in own.files:
                (target / name).write_bytes((directory / name).read_bytes())
            return own

        made.assemble(fill)
    return made


Guard = Callable[..., tuple[DiskGuard, Disk, list[str]]]


@pytest.fixture
def make_guard(snapshots: Snapshots) -> Iterator[Guard]:
    def make(others: float, limit: float = 90, busy: frozenset[str] = frozenset()):  # type: ignore[no-untyped-def]
        disk, said = Disk(snapshots.directory, others), list[str]()
        guard = DiskGuard(snapshots, limit=limit, busy=lambda: set(busy), disk_usage=disk)
        heard.append(said)
        return guard, disk, said

    heard: list[list[str]] = []
    with listening(lambda line: heard[-1].append(line)):
        yield make


def steps(snapshots: Snapshots) -> list[int]:
    return [snapshot.manifest.step for snapshot in snapshots.complete()]


@pytest.mark.parametrize(
    ("others", "limit", "left", "warned"),
    [
        (44, 90, [13, 12, 11, 10], False),  # 90 % full is not above 90 %
        (45, 90, [13, 12, 11], False),  # the oldest is enough
        (60, 90, [13, 12], False),
        (77, 90, [13], False),
        (80, 90, [13], True),  # the newest stays whatever happens
        (80, 0, [13, 12, 11, 10], False),  # off
    ],
)
def test_what_goes(
    make_guard: Guard, snapshots: Snapshots, others: float, limit: float, left: list[int],
    warned: bool,
) -> None:  # fmt: skip
    guard, _, said = make_guard(others, limit)
    guard.check()
    assert steps(snapshots) == left
    deleted = [line for line in said if "deleted snapshot" in line]
    assert len(deleted) == 4 - len(left)
    assert all("MB freed" in line and "superseded" in line for line in deleted)
    assert ("make room" in said[-1] if said else False) is warned


def test_it_warns_once_and_again_after_there_was_room(make_guard: Guard) -> None:
    guard, disk, said = make_guard(80)
    for _ in range(3):
        guard.check()
    assert sum("make room" in line for line in said) == 1
    disk.others = 10
    guard.check()
    disk.others = 85
    guard.check()
    assert sum("make room" in line for line in said) == 2


def test_what_is_being_sent_stays(make_guard: Guard, snapshots: Snapshots) -> None:
    oldest = snapshots.complete()[-1].path.name
    guard, _, _ = make_guard(50, busy=frozenset({oldest}))
    guard.check()
    assert steps(snapshots) == [13, 12, 10]


def test_freed_is_what_no_other_file_shares(make_guard: Guard, snapshots: Snapshots) -> None:
    oldest = snapshots.complete()[-1]
    assert oldest.freed_bytes == oldest.manifest.n_bytes
    kept = oldest.path.parent / "in-use"
    kept.hardlink_to(oldest.path / "training.ckpt")
    assert oldest.freed_bytes == oldest.manifest.files["metrics.jsonl"].size


def test_a_disk_that_cannot_be_asked_is_said_once(snapshots: Snapshots, tmp_path: Path) -> None:
    said: list[str] = []

    def broken(_: Path) -> None:
        raise OSError("gone")

    guard = DiskGuard(snapshots, limit=90, busy=set, disk_usage=broken)
    with listening(said.append):
        guard.check()
        guard.check()
    assert said == ["  disk guard: gone"]
    assert len(snapshots.complete()) == 4


def test_a_learner_on_a_full_disk_keeps_only_its_newest(
    make_config: Callable[..., LearnerConfig],
    add_file: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = SimpleNamespace(used=95, free=5)
    monkeypatch.setattr(keeper, "DiskGuard", partial(DiskGuard, disk_usage=lambda _: full))
    config = make_config(max_cycles=3, snapshot_every=1, keep_snapshots=5, disk_limit=90.0)
    add_file(config.examples.path, 1)
    lines = run(config)
    assert len(list(config.snapshots_path.glob("step-*"))) == 1
    assert sum("deleted snapshot step-" in line for line in lines) == 2
