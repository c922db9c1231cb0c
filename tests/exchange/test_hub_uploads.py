"""Uploading example files to a Hub that fails: nothing is lost and nothing sent twice."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from far import FETCH, NAMES, PUT_AND_CLOSE, Far, until
from hub import Failed, Hub, HubClient, running_hub

FAULTS = {
    "503": {"status": 503},
    "429 without a time": {"status": 429, "times": 2},
    "429 with a time": {"status": 429, "headers": {"Retry-After": "1"}},
    "conflict": {"status": 412, "times": 3},
    "other conflict": {"status": 409},
    "connection dropped": {"action": "drop"},
    "reply lost": {"action": "lose_reply"},
    "reply cut short": {"action": "cut"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faults_of_an_upload_lose_nothing_and_double_nothing(
    far: Far, fault: dict[str, Any]
) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES[:1])
    far.hub.control(reset=True)
    far.hub.fault(f"{far.repo}/(commit/|batch)", **fault)
    assert far.do(PUT_AND_CLOSE, names=NAMES[1:]) == 0
    assert far.files() == NAMES
    assert far.spooled() == []
    assert far.hub.control()["faults_left"] == 0
    assert far.sent_twice() == []


XET = {
    "no token": {"path": "/xet-write-token", "status": 503},
    "chunks dropped": {"path": "/v1/xorbs/", "action": "drop", "times": 3},
    "chunks refused": {"path": "/v1/xorbs/", "status": 500, "times": 3},
    "index lost": {"path": "/v1/shards", "action": "lose_reply", "times": 3},
    "index refused": {"path": "/v1/shards", "status": 503, "times": 3},
}


@pytest.mark.parametrize("kind", ["dataset", "bucket"])
@pytest.mark.parametrize("fault", XET.values(), ids=XET)
def test_faults_inside_hf_xet_are_passing_too(
    hub: Hub, repo: str, tmp_path: Path, xet_client: HubClient, kind: str, fault: dict[str, Any]
) -> None:
    far = Far(hub, xet_client, kind, repo, tmp_path)
    far.do(PUT_AND_CLOSE, names=NAMES[:1])
    hub.fault(**fault)
    assert far.do(PUT_AND_CLOSE, names=NAMES[1:]) == 0
    assert far.files() == NAMES
    assert hub.control()["faults_given"] > 0
    hub.control(faults=[])
    assert far.do(FETCH, names=NAMES) == NAMES


def test_a_hub_that_starts_after_the_worker(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = HubClient(Hub(f"http://127.0.0.1:{port}", tmp_path / "hf").env(xet=False))
    try:
        client.start(
            """
            import time
            store = examples("dataset", "me/late", None, home)
            put(store, *names)
            while not said:
                time.sleep(0.01)
            print("trying", file=open(home + "/said", "w"), flush=True)
            return [store.close(60), said[0]]
            """,
            home=str(tmp_path),
            names=NAMES,
        )
        until(lambda: (tmp_path / "said").exists())
        with running_hub(tmp_path / "hf", port=port) as hub:
            left, line = client.finish()
            assert left == 0
            assert "me/late: [Errno 111] Connection refused" in line
            assert sorted(hub.files("dataset:me/late")) == NAMES
    finally:
        client.kill()


def test_a_quota_that_asks_for_an_hour_is_waited_out_by_nobody_but_the_thread(far: Far) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES[:1])
    hour = {"status": 429, "headers": {"Retry-After": "3600"}, "times": 99}
    far.hub.fault(f"{far.repo}/(commit/|batch)", **hour)
    code = """
    import time
    put(store, *names)
    while not said:
        time.sleep(0.01)
    return [store.waiting(), store.close(0.2), sum("upload error" in line for line in said)]
    """
    waiting, left, n_said = far.do(code, names=NAMES[1:])
    assert (waiting, left, n_said) == (3, 3, 1)
    assert "429" in far.client.said[0]
    assert far.files() == NAMES[:1]
    far.hub.control(faults=[])
    # The thread of the first store still waits in this process; the next process takes over.
    assert far.spooled() == NAMES[1:]


def test_a_commit_quota_is_kept_to_by_waiting(lfs_far: Far) -> None:
    lfs_far.do(PUT_AND_CLOSE, names=NAMES[:1])
    lfs_far.hub.control(reset=True, commit_quota=1, quota_seconds=0.5)
    code = """
    import time
    for name in names:
        put(store, name)
        time.sleep(0.1)
    return store.close(60)
    """
    assert lfs_far.do(code, names=NAMES[1:]) == 0
    assert lfs_far.files() == NAMES
    assert lfs_far.hub.control()["most_commits_in_window"] == 1


def test_a_hub_that_is_gone_at_the_start_in_the_middle_and_at_the_end(far: Far) -> None:
    far.hub.control(down=True)
    far.start("put(store, *names[:2])\nreturn store.close(60)", names=NAMES)
    until(lambda: len(far.spooled()) == 2)
    far.hub.control(down=False)
    assert far.client.finish() == 0
    assert far.files() == NAMES[:2]
    far.hub.control(down=True)
    left = "put(store, *names[2:])\nreturn store.close(0.2)"
    assert far.do(left, names=NAMES) == 2
    assert far.spooled() == NAMES[2:]
    if far.kind == "dataset":  # of a bucket's listing the library makes sure for 23 s
        with pytest.raises(Failed) as caught:
            far.do("return store.list()")
        assert caught.value.kind == "TransientError"


def test_what_a_killed_process_left_is_uploaded_by_the_next(
    far: Far, start_client: Callable[..., HubClient]
) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES[:1])
    far.hub.fault(f"{far.repo}/(commit/|batch)", status=503, times=10**6)
    doomed = Far(far.hub, start_client(), far.kind, far.repo, far.home)  # fmt: skip
    doomed.start("put(store, *names)\nimport time\ntime.sleep(600)", names=NAMES[1:3])
    until(lambda: far.hub.control()["faults_given"] > 0 and len(far.spooled()) == 2)
    assert far.do("store.close(0)\nreturn store.waiting()") == 0  # it lives: its files are its own
    doomed.client.kill()
    far.hub.control(faults=[], reset=True)
    assert far.do(PUT_AND_CLOSE, names=NAMES[3:]) == 0
    assert far.files() == NAMES
    assert far.sent_twice() == []
    assert far.spooled() == []


def test_killed_between_an_upload_and_hearing_of_it(
    lfs_far: Far, start_client: Callable[..., HubClient]
) -> None:
    far = lfs_far
    far.do(PUT_AND_CLOSE, names=NAMES[:1])
    far.hub.control(reset=True)
    far.hub.fault(f"{far.repo}/commit/", action="lose_reply")
    doomed = Far(far.hub, start_client(xet=False), far.kind, far.repo, far.home)
    slow = {"retry_seconds": 600.0}
    doomed.start("put(store, *names)\nimport time\ntime.sleep(600)", changes=slow, names=NAMES[1:])
    until(lambda: far.hub.control()["faults_given"] == 1)
    doomed.client.kill()
    assert far.spooled() == NAMES[1:]
    assert far.do("return store.close(30)") == 0
    assert far.files() == NAMES
    assert far.sent_twice() == []


def test_full_disk_while_spooling_is_the_callers_to_know(lfs_far: Far) -> None:
    code = """
    import errno
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    try:
        store.put(names[0], full)
    except OSError as error:
        put(store, names[0])
        return [error.errno == errno.ENOSPC, store.close(30)]
    """
    assert lfs_far.do(code, names=NAMES) == [True, 0]
    assert lfs_far.files() == NAMES[:1]


def test_a_revoked_token_ends_the_producer_and_keeps_its_files(far: Far) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES[:1])
    far.hub.control(tokens={})
    code = """
    import time
    for number in range(10_000):
        put(store, f"w0_{200 + number}_ab.safetensors")
        time.sleep(0.02)
    """
    with pytest.raises(Failed, match="HF_TOKEN") as caught:
        far.do(code)
    assert caught.value.kind == "ExchangeError"
    assert len(far.spooled()) >= 1
    assert far.files() == NAMES[:1]
