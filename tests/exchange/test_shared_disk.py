"""The directory back end on a disk of a network: no locks, lost replies, stale handles, old views.

What docs/cluster.md promises of such a disk. Each test is two machines in one process: what one of
them does not see yet is held back from it.
"""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from disk_faults import DiskFaults
from listening import listening

from zebfast.exchange import (
    ExchangeError,
    LocalExampleStore,
    LocalWeightStore,
    Namespace,
    NamespaceBusy,
    TransientError,
    hold_namespace,
)
from zebfast.exchange.heartbeat import Heartbeat
from zebfast.exchange.state import Torn
from zebfast.system.files import write_atomic
from zebfast.system.locks import hold_lock
from zebfast.worker.progress import hold_worker_id

CONFIG = {"embed_dim": 16}
NAMES = ("a_3_aa.pt", "b_20_aa.pt", "c_100_aa.pt")


def weights(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full(3, value, np.float32)}


def store_in(path: Path) -> LocalWeightStore:
    return LocalWeightStore(path, Namespace())


def pulled(store: LocalWeightStore) -> tuple[int, float]:
    """Step and value of what a reader gets."""
    found = store.pull()
    assert found is not None
    return found.step, found.state_dict["w"][0]


@pytest.fixture
def examples(tmp_path: Path) -> LocalExampleStore:
    store = LocalExampleStore(tmp_path / "examples", Namespace())
    for name in NAMES:
        store.put(name, lambda path: write_atomic(path, b"x"))
    return store


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_learner_and_worker_go_on_and_say_so(
    tmp_path: Path, disk_faults: DiskFaults, code: int
) -> None:
    disk_faults.fail("lock", str(tmp_path), code)
    left = [tmp_path / ".model.pt.0123abcd.tmp", tmp_path / ".w_3_aa.pt.0123abcd.tmp"]
    for path in left:
        path.touch()
    lines: list[str] = []
    with listening(lines.append), hold_namespace(tmp_path, Namespace()):
        with hold_worker_id(tmp_path, "w"):
            pass
        store_in(tmp_path).publish(weights(1), CONFIG, {"step": 1})
    assert [line.count("keeps no locks") for line in lines] == [1, 1]
    assert all(path.exists() for path in left), "they may be somebody's who lives"
    with (
        pytest.raises(OSError, match=os.strerror(code)),
        hold_lock(tmp_path / "fleet.lock", busy=NamespaceBusy),
    ):
        pass


def test_without_locks_who_starts_last_has_the_namespace(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    disk_faults.fail("lock", str(tmp_path), errno.ENOLCK)
    one, two = store_in(tmp_path), store_in(tmp_path)
    one.publish(weights(1), CONFIG, {"step": 1})
    with one.hold("alpha"), two.hold("beta"):
        with pytest.raises(NamespaceBusy, match="by beta"):
            one.publish(weights(9), CONFIG, {"step": 9})
        two.publish(weights(2), CONFIG, {"step": 2})
    assert pulled(one) == (2, 2)


def test_a_learner_that_does_not_see_its_successor_yet_does_no_harm_beyond_that(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    """It publishes once more; then the other finds out, and one of the two is left."""
    disk_faults.fail("lock", str(tmp_path), errno.ENOLCK)
    one, two = store_in(tmp_path), store_in(tmp_path)
    one.publish(weights(1), CONFIG, {"step": 1})
    with one.hold("alpha"):
        one.publish(weights(2), CONFIG, {"step": 2})
        disk_faults.lag(tmp_path, looks=1, names="training_state")
        late = disk_faults._lags.pop()
        with two.hold("beta"):
            disk_faults._lags.append(late)
            one.publish(weights(3), CONFIG, {"step": 3})
            with pytest.raises(NamespaceBusy, match="by alpha"):
                two.publish(weights(4), CONFIG, {"step": 4})
        one.publish(weights(5), CONFIG, {"step": 5})
        assert pulled(two) == (5, 5)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        ("rename", "examples/d_7"),
        ("rename", r"bad/b_20_aa\.pt$"),
        ("rename", "counted"),
        ("remove", "a_3_aa"),
    ],
)
@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_what_was_done_and_not_answered_is_done(
    tmp_path: Path, examples: LocalExampleStore, disk_faults: DiskFaults,
    call: str, match: str, code: int,
) -> None:  # fmt: skip
    """The same is asked again, by the disk's client or by ours, and is there, or gone, already."""
    disk_faults.fail(call, match, code, times=1, after=True)
    deeds = (
        lambda: examples.put("d_7_aa.pt", lambda path: write_atomic(path, b"y")),
        lambda: examples.quarantine("b_20_aa.pt", "bad"),
        lambda: examples.archive(["c_100_aa.pt"]),
        lambda: examples.delete(["a_3_aa.pt"]),
    )
    for deed in deeds:
        try:
            deed()
        except TransientError:
            deed()
    assert len(disk_faults.failed) == 1
    assert examples.list() == ["d_7_aa.pt"]
    assert (examples.directory / "d_7_aa.pt").read_bytes() == b"y"
    assert (examples.directory / "bad" / "b_20_aa.pt").is_file()
    assert len(list((examples.directory / "counted").rglob("c_100_aa.pt"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_rename_that_was_not_done_is_not_taken_for_done(
    tmp_path: Path, examples: LocalExampleStore, disk_faults: DiskFaults
) -> None:
    disk_faults.fail("rename", "examples", errno.ENOENT, times=2)
    with pytest.raises(FileNotFoundError):
        examples.put("a_3_aa.pt", lambda path: write_atomic(path, b"other"))
    with pytest.raises(FileNotFoundError):
        examples.quarantine("b_20_aa.pt", "bad")
    assert (examples.directory / "a_3_aa.pt").read_bytes() == b"x"


def test_a_stale_handle_is_opened_again(
    tmp_path: Path, examples: LocalExampleStore, disk_faults: DiskFaults
) -> None:
    store = store_in(tmp_path)
    store.publish(weights(1), CONFIG, {"step": 1})
    beat = Heartbeat(worker_id="w", unix=1.0, phase="playing", batch=1)
    examples.beat(beat)
    for call, match in (("open", "training_state"), ("open", r"model\.pt"), ("open", "config"),
                        ("list", "examples"), ("open", "heartbeats/")):  # fmt: skip
        disk_faults.fail(call, match, errno.ESTALE, times=1)
    assert pulled(store) == (1, 1)
    assert examples.list() == list(NAMES)
    assert examples.heartbeats() == {"w": beat}
    assert len(disk_faults.failed) == 5


def test_a_listing_that_lags_shows_what_is_gone_and_hides_what_is_new(
    examples: LocalExampleStore, disk_faults: DiskFaults
) -> None:
    disk_faults.lag(examples.directory, looks=1, names="^$")
    examples.delete(["a_3_aa.pt"])
    examples.archive(["b_20_aa.pt"])
    examples.put("d_7_aa.pt", lambda path: write_atomic(path, b"x"))
    assert examples.list() == list(NAMES), "as it was"
    with examples.fetch(NAMES) as paths:
        assert list(paths) == ["c_100_aa.pt"]
    assert examples.archive(["a_3_aa.pt"]) == examples.delete(["b_20_aa.pt"]) == 0
    assert examples.list() == ["d_7_aa.pt", "c_100_aa.pt"]


def test_a_file_that_is_seen_as_absent_is_replaced_by_what_belongs_there(
    examples: LocalExampleStore, disk_faults: DiskFaults
) -> None:
    disk_faults.lag(examples.directory, looks=100)
    for content in (b"one", b"two"):
        examples.put("d_7_aa.pt", lambda path, content=content: write_atomic(path, content))
    with examples.fetch(["d_7_aa.pt"]) as paths:
        assert not paths
    disk_faults.stop()
    assert (examples.directory / "d_7_aa.pt").read_bytes() == b"two"


FILES = ("model.pt", "config.json", "training_state.json")


@pytest.mark.parametrize("old", [s for n in range(4) for s in itertools.combinations(FILES, n)])
def test_a_reader_whose_files_are_not_of_one_age_never_pairs_them_wrongly(
    tmp_path: Path, disk_faults: DiskFaults, monkeypatch: pytest.MonkeyPatch, old: tuple[str, ...]
) -> None:
    monkeypatch.setattr("zebfast.exchange.local._PAUSE_SECONDS", 0.0)
    store = store_in(tmp_path)
    store.publish(weights(1), {"embed_dim": 1}, {"step": 1})
    if old:
        disk_faults.lag(tmp_path, looks=1000, names="|".join(old))
    store_in(tmp_path).publish(weights(2), {"embed_dim": 1}, {"step": 2})
    if ("model.pt" in old) != ("training_state.json" in old):
        with pytest.raises(Torn):
            store.pull()
    else:
        assert pulled(store) == ((1, 1) if "model.pt" in old else (2, 2))
    disk_faults.stop()
    assert pulled(store) == (2, 2)


def test_a_ledger_that_is_not_seen_yet_is_not_taken_for_none(
    tmp_path: Path, disk_faults: DiskFaults
) -> None:
    store = store_in(tmp_path)
    store.publish(weights(1), CONFIG, {"step": 1, "ingested": []})
    names = [f"w_{number}_{number:08x}.pt" for number in range(3000)]
    disk_faults.lag(tmp_path, looks=1, names="ledger")
    store.update_state({"ingested": names})
    state = store.read_state()
    assert state is not None
    with pytest.raises(ExchangeError, match="not beside it as it was written"):
        store.whole(state)
    assert store.whole(state)["ingested"] == names
