"""Files that wait for their upload: whose they are, when they go, what is said; no network here."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from listening import listening

from zebfast.exchange import ExchangeError, StoreOptions, TransientError
from zebfast.exchange.hub.spool import OwnDirectory, Spool
from zebfast.exchange.hub.uploader import Content, Uploader, upload_interval_for

A, B, C = "w_1_aa.pt", "w_2_bb.pt", "w_3_cc.safetensors"


def fill(path: Path) -> None:
    path.write_bytes(path.name.encode())


class Far:
    """A store that fails as told: each of ``faults`` spoils one send, before or after it works."""

    def __init__(self, faults: Sequence[tuple[str, Exception]] = ()) -> None:
        self.files: dict[str, bytes] = {}
        self.sent: list[list[str]] = []
        self.faults = list(faults)
        self.arrived = threading.Event()

    def send(self, files: Mapping[str, Content]) -> None:
        self.sent.append(list(files))
        when, error = self.faults.pop(0) if self.faults else ("", None)
        if when == "before":
            assert error is not None
            raise error
        self.files |= {
            name: data if isinstance(data, bytes) else data.read_bytes()
            for name, data in files.items()
        }
        if error is not None:
            raise error
        self.arrived.set()

    def missing(self, paths: Sequence[Path]) -> Sequence[Path]:
        return [path for path in paths if path.name not in self.files]


def uploader(
    far: Far,
    spool: Spool,
    *,
    interval: float = 0.0,
    quota: bool = True,
) -> Uploader:
    options = StoreOptions(state_dir=spool.parent, upload_interval=interval, retry_seconds=0.01)
    return Uploader(
        spool,
        send=far.send,
        missing=far.missing,
        label="far",
        quota=quota,
        options=options,
    )


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    with listening(lines.append):
        yield lines


@pytest.mark.parametrize(
    ("n_workers", "seconds"), [(0, 240), (1, 240), (6, 240), (7, 252), (20, 720), (100, 3600)]
)
def test_workers_together_stay_within_the_commit_quota(n_workers: int, seconds: int) -> None:
    assert upload_interval_for(n_workers) == seconds
    assert n_workers * 3600 / upload_interval_for(n_workers) <= 100


def test_spooled_files_are_listed_oldest_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert spool.names() == []
    for name in (C, A, B):
        spool.put(name, fill)
    with pytest.raises(ValueError, match="not the name"):
        spool.put("../x", fill)
    assert spool.names() == [A, B, C]
    spool.remove([A, A])
    assert spool.names() == [B, C]


LEAVE = """
import sys, os
from pathlib import Path
from zebfast.exchange.hub.spool import Spool
spool = Spool(Path(sys.argv[1]))
spool.put("w_1_aa.pt", lambda path: path.write_bytes(b"x"))
(spool.path("w_1_aa.pt").parent / ".w_2_bb.pt.0123.tmp").touch()
os._exit(9)
"""


def test_files_of_the_living_are_left_alone_and_those_of_the_dead_taken(
    tmp_path: Path, repo_root: Path
) -> None:
    alive, other = Spool(tmp_path), Spool(tmp_path)
    alive.put(B, fill)
    subprocess.run([sys.executable, "-c", LEAVE, str(tmp_path)], cwd=repo_root, check=False)
    assert other.take_over() == [A]
    assert (other.names(), alive.names()) == ([A], [B])
    assert (
        len(list(tmp_path.iterdir())) == 2
    )  # the dead one's directory has gone, temporary and all
    alive.release()
    assert other.take_over() == [B]
    other.remove([A, B])
    other.release()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_deleted_while_it_is_locked_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zebfast.exchange.hub.spool as module

    OwnDirectory.create(tmp_path).release()
    left = OwnDirectory.create(tmp_path)
    (left.path / "x").touch()
    left.release()
    flock = module.fcntl.flock

    def too_late(handle: object, how: int) -> None:
        (left.path / ".lock").unlink(missing_ok=True)
        flock(handle, how)  # type: ignore[arg-type]

    monkeypatch.setattr(module.fcntl, "flock", too_late)
    assert list(OwnDirectory.abandoned(tmp_path)) == []


def test_faults_are_said_once_and_lost_replies_recognised(tmp_path: Path, said: list[str]) -> None:
    busy, lost = TransientError("busy"), TransientError("reply lost")
    far = Far([("before", busy), ("before", busy), ("before", busy), ("after", lost)])
    spool = Spool(tmp_path)
    spool.put(A, fill)
    spool.put(B, fill)
    assert uploader(far, spool).close(30) == 0
    assert far.sent == [[A, B]] * 4
    assert far.files == {A: A.encode(), B: B.encode()}
    assert [line.split(";")[0] for line in said] == [
        "  upload error (will retry): busy",
        "  upload error (will retry): reply lost",
        "  uploads to far work again",
    ]


def test_a_refusal_is_told_to_the_producer_only_when_it_lasts(tmp_path: Path) -> None:
    far = Far([("before", ExchangeError("no token"))] * 2)
    spool = Spool(tmp_path)
    spool.put(A, fill)
    passing = uploader(far, spool)
    assert passing.close(30) == 0
    passing.check()
    spool.put(B, fill)
    far.faults = [("before", ExchangeError("no token"))] * 1000
    lasting = uploader(far, spool)
    assert lasting.close(0.5) == 1
    with pytest.raises(ExchangeError, match="no token"):
        lasting.check()


def test_a_fault_of_the_local_disk_never_looks_like_a_failed_put(
    tmp_path: Path, said: list[str]
) -> None:
    spool = Spool(tmp_path)
    spool.put(A, fill)
    full = OSError(errno.ENOSPC, "No space left on device")
    thread = uploader(Far([("before", full)] * 5), spool)
    assert thread.close(30) == 0
    thread.check()
    assert "No space left" in said[0]


def test_a_bug_in_the_thread_reaches_the_producer(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(A, fill)
    broken = uploader(Far([("before", ZeroDivisionError("bug"))]), spool)
    assert broken.close(30) == 1
    with pytest.raises(ZeroDivisionError):
        broken.check()


def test_the_next_commit_waits_for_the_interval_but_not_at_the_end(tmp_path: Path) -> None:
    far, spool = Far(), Spool(tmp_path)
    thread = uploader(far, spool, interval=3600)
    spool.put(A, fill)
    thread.wake()
    assert far.arrived.wait(60)
    for name in (B, C):
        spool.put(name, fill)
        thread.wake()
    assert thread.close(30) == 0
    assert far.sent == [[A], [B, C]]


def test_a_long_outage_is_caught_up_in_commits_of_a_hundred(tmp_path: Path) -> None:
    far, spool = Far(), Spool(tmp_path)
    for number in range(250):
        spool.put(f"w_{number}_aa.pt", fill)
    thread = uploader(far, spool, interval=3600)
    thread.wake()  # without an end: the interval must not hold the later hundreds back
    while spool.names():
        assert far.arrived.wait(60)
    assert [len(names) for names in far.sent] == [100, 100, 50]
    assert thread.close(30) == 0
