"""Heartbeats: what a valid one is, how they travel, and that no example file suffers for it."""

from __future__ import annotations

import json
import os
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from far import NAMES, Far
from hub import HubClient
from listening import listening

from zebfast.exchange import ExchangeError, LocalExampleStore, Namespace, StoreOptions
from zebfast.exchange import heartbeat as heartbeat_files
from zebfast.exchange.heartbeat import (
    MAX_BYTES,
    BadHeartbeat,
    Heartbeat,
    heartbeat_name,
    is_heartbeat_name,
    parse_heartbeat,
)
from zebfast.exchange.hub.examples import RemoteFile, RemoteHeartbeats
from zebfast.exchange.hub.spool import Spool
from zebfast.exchange.hub.uploader import Content, Uploader

BEAT = Heartbeat(
    worker_id="w0", unix=1000.5, phase="playing", batch=3, total_games=24, games_per_s=3.5,
    model_step=7, restarts=1, earlier_batches=2, last_batch=999.0, gpu="RTX 3060",
    gpu_memory=512.0, host="h", version="0.1.0", source="selfplay-mcts",
)  # fmt: skip


def test_a_heartbeat_comes_back_as_it_was() -> None:
    assert parse_heartbeat(BEAT.to_bytes(), "w0.json") == BEAT
    later = json.loads(BEAT.to_bytes()) | {"of_a_later_version": [1]}
    assert parse_heartbeat(json.dumps(later).encode(), "w0.json") == BEAT


def test_only_work_is_progress() -> None:
    restarted = replace(BEAT, restarts=2, earlier_batches=5, batch=0, unix=2000.0, phase="failed")
    assert restarted.progress == BEAT.progress
    assert replace(restarted, batch=1).progress != BEAT.progress


def test_no_heartbeat_is_too_long_or_more_than_a_line() -> None:
    nasty = "\x1b[2J" + '"\\' * 3000 + "\n" + "\U0001f600\udcff" * 3000
    beat = replace(BEAT, worker_id="w" * 100, error=nasty, gpu=nasty, host=nasty, version=nasty)
    data = beat.to_bytes()
    assert len(data) <= MAX_BYTES
    error = parse_heartbeat(data, heartbeat_name(beat.worker_id)).error
    assert error is not None
    assert error.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"worker_id": "../w0"}, {"worker_id": ["w0"]}, {"worker_id": "other"}, {"phase": "well"},
        {"phase": ["playing"]}, {"batch": -1}, {"batch": 1.5}, {"batch": True},
        {"batch": 10**400}, {"unix": None}, {"unix": "x"}, {"unix": float("nan")},
        {"unix": 10**400}, {"games_per_s": float("inf")}, {"restarts": "1"},
        {"earlier_batches": None}, {"last_batch": -1}, {"gpu_memory": []}, {"host": None},
        {"error": {}}, {"source": 5},
    ],
)  # fmt: skip
def test_what_is_no_heartbeat_is_refused_in_a_sentence(change: dict[str, Any]) -> None:
    data = json.dumps(json.loads(BEAT.to_bytes()) | change).encode()
    with pytest.raises(BadHeartbeat, match=r"heartbeat w0\.json[,:] ") as caught:
        parse_heartbeat(data, "w0.json")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b"[" * 4000, b"{}", b" " * 5000, b'{"worker_id": "w0"}']
)
def test_other_files_are_refused_too(data: bytes) -> None:
    with pytest.raises(BadHeartbeat):
        parse_heartbeat(data, "w0.json")


@pytest.mark.parametrize(
    "change", [{"games_per_s": float("nan")}, {"total_games": -1}, {"batch": 1 << 62},
               {"worker_id": "a b"}, {"gpu_memory": float("inf")}]
)  # fmt: skip
def test_what_would_be_refused_is_not_written(tmp_path: Path, change: dict[str, Any]) -> None:
    store = LocalExampleStore(tmp_path, Namespace())
    store.beat(BEAT)
    with pytest.raises(BadHeartbeat):
        store.beat(replace(BEAT, **change))
    assert store.heartbeats() == {BEAT.worker_id: BEAT}


def test_heartbeats_that_nobody_renews_go_with_what_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fleets rent new machines for months: whoever looks reads all that are there."""
    clock = [0.0]
    monkeypatch.setattr(heartbeat_files, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    store = LocalExampleStore(tmp_path, Namespace())
    store.beat(BEAT)
    (tmp_path / "heartbeats" / "note.txt").touch()
    for hour in range(80):
        clock[0] = 3601.0 * hour
        store.beat(replace(BEAT, worker_id="w1", batch=hour))
        (store.delete if hour % 2 else store.archive)([])
        assert set(store.heartbeats()) == ({"w0", "w1"} if hour <= 72 else {"w1"})
    assert (tmp_path / "heartbeats" / "note.txt").exists()


def test_names() -> None:
    assert is_heartbeat_name(heartbeat_name("selfplay-3fa9c1d2"))
    for name in (".w0.json.ab12.tmp", "w0.txt", ".json", "a/b.json", "w0_1_ab.pt", ".w0.json"):
        assert not is_heartbeat_name(name)


@dataclass
class Listing:
    """A folder far away that lists what it likes."""

    listed: dict[str, RemoteFile]
    asked: list[str] = field(default_factory=list)

    def entries(self, folder: str = "") -> dict[str, RemoteFile]:
        return self.listed

    def download(self, names: Sequence[str], directory: Path) -> tuple[list[str], str | None]:
        self.asked += names
        return [], None


def test_far_away_only_files_of_the_folder_are_asked_for(tmp_path: Path) -> None:
    names = ("heartbeats/worker-0.json", "heartbeats/../worker-1.json", "../heartbeats/w.json",
             "/heartbeats/w.json", "heartbeats/a/w.json", "heartbeats/..", "w.json")  # fmt: skip
    far = Listing({name: RemoteFile(9, None, "1") for name in names})
    assert RemoteHeartbeats(far, lambda: tmp_path).read() == {}  # type: ignore[arg-type]
    assert far.asked == ["heartbeats/worker-0.json"]


@pytest.mark.parametrize("name", [None, "large"])
def test_in_a_directory(tmp_path: Path, name: str | None) -> None:
    said: list[str] = []
    store = LocalExampleStore(tmp_path, Namespace.parse(name))
    assert store.heartbeats() == {}
    store.put(NAMES[0], lambda path: path.write_bytes(b"x") and None)
    store.beat(BEAT)
    store.beat(replace(BEAT, batch=4))
    store.beat(replace(BEAT, worker_id="w1"))
    folder = store.directory / "heartbeats"
    (folder / "evil.json").write_bytes(b"\x80\x04cposix\nsystem\n")
    (folder / "long.json").write_bytes(b" " * 100_000)
    (folder / ".w0.json.0123.tmp").write_bytes(b"{")
    os.mkfifo(folder / "pipe.json")
    with listening(said.append):
        for _ in range(2):
            assert store.heartbeats() == {
                "w0": replace(BEAT, batch=4), "w1": replace(BEAT, worker_id="w1"),
            }  # fmt: skip
    assert sorted(line.split()[3] for line in said) == ["evil.json", "long.json"]
    assert (store.list(), store.delete(["w0.json", "heartbeats/w0.json"])) == ([NAMES[0]], 0)
    assert len(store.heartbeats()) == 2


def test_another_process_under_the_same_id_is_named_by_both(tmp_path: Path) -> None:
    """Two machines on one shared directory: each finds the other's sign in the place of its own."""
    one, two = (LocalExampleStore(tmp_path, Namespace.parse(None)) for _ in range(2))
    first, second = (replace(BEAT, process=name, host=name) for name in ("a", "b"))
    said: list[str] = []
    with listening(said.append):
        one.beat(first)
        one.beat(first)
        two.beat(second)  # it may be what follows on one that was killed
        assert not said
        one.beat(first)
        two.beat(second)
        one.beat(first)
    assert [line.partition(":")[0] for line in said] == [
        "  another process works as w0, too (on b, playing)",
        "  another process works as w0, too (on a, playing)",
    ]


OPEN = """
from dataclasses import dataclass, field, replace
from zebfast.exchange.heartbeat import Heartbeat
def beat(worker="w0", **facts):
    store.beat(Heartbeat(worker_id=worker, unix=5.0, **{"phase": "playing", **facts}))
"""


def script(code: str) -> str:
    """A snippet that has ``beat``."""
    return OPEN + textwrap.dedent(code)


def test_far_away_the_other_of_the_same_id_is_named_too(far: Far) -> None:
    far.do(script("""
        import time
        other = examples(kind, repo, "large", home + "2", upload_interval=0.0)
        for each, process in ((store, "a"), (store, "a"), (other, "b"), (store, "a")):
            each.beat(Heartbeat(worker_id="w0", unix=6.0, phase="playing", process=process))
            while each._uploader._beat is not None:
                time.sleep(0.01)
        store.close(30)
        other.close(30)
    """), changes={"upload_interval": 0.0})  # fmt: skip
    [line] = [line for line in far.client.said if "another process works as w0" in line]
    assert "(on some machine, playing)" in line


def test_far_away_it_goes_with_the_examples_and_is_none(far: Far) -> None:
    """The interval is an hour: all that arrives came with the first files, or at the end."""
    code = """
    import time
    beat(phase="starting")
    beat(batch=1)
    put(store, names[0])
    while store.waiting():
        time.sleep(0.01)
    beat(batch=2)
    beat(batch=3)
    put(store, names[1])
    waiting = store.waiting()
    return [waiting, store.close(30)]
    """
    assert far.do(script(code), changes={"upload_interval": 3600}, names=NAMES) == [1, 0]
    assert far.files() == ["heartbeats/w0.json", *NAMES[:2]]
    if far.kind == "dataset":
        assert far.uploads() == 2
    look = """
    found = store.heartbeats()
    listed = store.list()
    return [listed, {worker: beat.batch for worker, beat in found.items()},
            store.delete([*listed, "heartbeats/w0.json", "w0.json"]), sorted(store.heartbeats())]
    """
    assert far.do(look) == [NAMES[:2], {"w0": 3}, 2, ["w0"]]
    assert far.do("return [store.list(), len(store.heartbeats())]") == [[], 1]


def test_far_away_silent_ones_go_with_what_is_deleted(far: Far) -> None:
    code = """
    beat(batch=1)
    put(store, names[0])
    left = store.close(30)
    store._silent.find = lambda versions: list(versions())  # as after some days
    return [left, store.delete([]), store.delete(names[:1]), store.list(), store.heartbeats()]
    """
    assert far.do(script(code), names=NAMES) == [0, 0, 2, [], {}]


def test_far_away_only_what_has_changed_is_fetched_again(far: Far) -> None:
    code = """
    import time
    other = examples(kind, repo, "large", home + "/other")
    beat(batch=1)
    other.beat(Heartbeat(worker_id="w1", unix=5.0, phase="playing"))
    left = [store.close(30), other.close(30)]
    reader = examples(kind, repo, "large", home)
    seen = [len(reader.heartbeats())]
    fetched = []
    download = reader._transport.download
    def counted(names, directory):
        fetched.append(names)
        return download(names, directory)
    reader._transport.download = counted
    seen.append(len(reader.heartbeats()))
    again = examples(kind, repo, "large", home)
    again.beat(Heartbeat(worker_id="w0", unix=6.0, phase="stopped"))
    left.append(again.close(30))
    seen.append(reader.heartbeats()["w0"].phase)
    return [left, seen, fetched]
    """
    left, seen, fetched = far.do(script(code))
    assert left == [0, 0, 0]
    assert seen == [2, 2, "stopped"]
    assert fetched == [["heartbeats/w0.json"]]


def test_far_away_garbage_is_left_out_and_said_once(far: Far) -> None:
    code = """
    beat("w1")
    files = {"heartbeats/evil.json": b"nonsense", "heartbeats/long.json": b" " * 5000,
             "heartbeats/w_1_ab.pt": b"x", "heartbeats/notes.txt": b"x"}
    store._transport.send(files)
    left = store.close(30)
    reader = examples(kind, repo, "large", home)
    said.clear()
    return [left, *(sorted(reader.heartbeats()) for _ in range(2)), reader.list()]
    """
    assert far.do(script(code)) == [0, ["w1"], ["w1"], []]
    assert sorted(line.split()[3] for line in far.client.said) == ["evil.json", "long.json"]


def test_without_a_namespace_the_folder_lies_at_the_root(
    hub: object, repo: str, tmp_path: Path, lfs_client: HubClient
) -> None:
    setup = """
    weights(repo, None, home).publish(tensors(1), {}, {"step": 1})
    store = examples("dataset", repo, None, home)
    """
    code = """
    beat()
    put(store, *names)
    left = store.close(30)
    inside = examples("dataset", repo, "large", home)
    bucket = examples("bucket", repo + "b", None, home)
    bucket.beat(store.heartbeats()["w0"])
    return [left, bucket.close(30), store.list(), bucket.list(), sorted(store.heartbeats()),
            inside.heartbeats(), sorted(bucket.heartbeats())]
    """
    code = textwrap.dedent(setup) + script(code)
    found = lfs_client.do(code, repo=repo, names=NAMES, home=str(tmp_path))
    assert found == [0, 0, NAMES, [], ["w0"], {}, ["w0"]]


def test_a_hub_that_is_gone_stops_no_heartbeat_for_long(lfs_far: Far) -> None:
    lfs_far.hub.control(down=True)
    code = """
    import time
    beat()
    began = time.monotonic()
    left = store.close(60)
    return [left, time.monotonic() - began < 30]
    """
    assert lfs_far.do(script(code)) == [0, True]
    lfs_far.hub.control(down=False)
    assert lfs_far.do("return store.heartbeats()") == {}


class Calls:
    """A store that keeps what each send held; ``errors`` spoil sends, before or after they work."""

    def __init__(self, *errors: tuple[str, Exception]) -> None:
        self.sent: list[dict[str, bytes]] = []
        self.there: set[str] = set()
        self.errors = list(errors)

    def send(self, files: Mapping[str, Content]) -> None:
        data = {n: d if isinstance(d, bytes) else d.read_bytes() for n, d in files.items()}
        when, error = self.errors.pop(0) if self.errors else ("", None)
        if when != "before":
            self.sent.append(data)
            self.there |= set(data)
        if error is not None:
            raise error

    def missing(self, paths: Sequence[Path]) -> Sequence[Path]:
        return [path for path in paths if path.name not in self.there]


@pytest.fixture
def uploader(tmp_path: Path) -> Callable[..., tuple[Uploader, Spool]]:
    def make(calls: Calls, *, quota: bool, interval: float) -> tuple[Uploader, Spool]:
        options = StoreOptions(state_dir=tmp_path, upload_interval=interval, retry_seconds=0.01)
        spool = Spool(tmp_path / "spool")
        return Uploader(
            spool, send=calls.send, missing=calls.missing, label="far", quota=quota,
            options=options,
        ), spool  # fmt: skip

    return make


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_with_a_quota_it_waits_for_an_interval_before_it_goes_alone(
    uploader: Callable[..., tuple[Uploader, Spool]],
) -> None:
    calls = Calls()
    waiting, _ = uploader(calls, quota=True, interval=3600)
    waiting.beat("b", b"1", at_once=False)
    threading.Event().wait(0.3)
    assert calls.sent == []
    waiting.beat("b", b"failed", at_once=True)
    wait_for(lambda: calls.sent)
    waiting.beat("b", b"2", at_once=True)  # the interval has just begun
    threading.Event().wait(0.3)
    assert calls.sent == [{"b": b"failed"}]
    assert waiting.close(30) == 0
    assert calls.sent == [{"b": b"failed"}, {"b": b"2"}]

    calls = Calls()
    alone, _ = uploader(calls, quota=True, interval=0.2)
    alone.beat("b", b"1", at_once=False)
    wait_for(lambda: calls.sent)
    assert alone.close(30) == 0


def test_without_a_quota_it_goes_at_once_and_examples_keep_their_interval(
    uploader: Callable[..., tuple[Uploader, Spool]],
) -> None:
    calls = Calls()
    thread, spool = uploader(calls, quota=False, interval=3600)
    for name in NAMES[:2]:
        spool.put(name, lambda path: path.write_bytes(b"x") and None)
        thread.wake()
        wait_for(lambda: calls.sent)
    thread.beat("b", b"1", at_once=False)
    wait_for(lambda: len(calls.sent) > 1)
    assert [sorted(sent) for sent in calls.sent] == [[NAMES[0]], ["b"]]
    assert thread.close(30) == 0
    assert sorted(calls.sent[-1]) == [NAMES[1]]


def test_what_a_lost_reply_had_carried_is_not_sent_again(
    uploader: Callable[..., tuple[Uploader, Spool]],
) -> None:
    calls = Calls(("after", ExchangeError("lost")))
    thread, spool = uploader(calls, quota=True, interval=0.0)
    spool.put(NAMES[0], lambda path: path.write_bytes(b"x") and None)
    thread.beat("b", b"1", at_once=False)
    assert thread.close(30) == 0
    assert [sorted(sent) for sent in calls.sent] == [["b", NAMES[0]]]


def test_a_heartbeat_that_is_refused_ends_no_producer(
    uploader: Callable[..., tuple[Uploader, Spool]],
) -> None:
    calls = Calls(*[("before", ExchangeError("no"))] * 5)
    thread, _ = uploader(calls, quota=True, interval=0.0)
    thread.beat("b", b"1", at_once=False)
    wait_for(lambda: calls.sent)
    thread.check()
    assert thread.close(30) == 0
