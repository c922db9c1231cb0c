"""Reading example files from the Hub: broken downloads, and files that must be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from far import FETCH, NAMES, PUT_AND_CLOSE, Far
from hub import Hub, HubClient


def test_bad_files_are_kept_here_and_deleted_there_with_the_next(far: Far) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES)
    code = """
    with store.fetch(names[:2]):
        store.quarantine(names[0], "first line\\nsecond line")
    return [store.list(), store.list()]
    """
    assert far.do(code, names=NAMES) == [NAMES[1:]] * 2
    assert far.files() == NAMES
    [reason] = far.home.glob("*/bad/*.reason.txt")
    assert reason.read_text() == "first line second line\n"
    assert reason.with_name(NAMES[0]).stat().st_size == 100
    again = "listed = store.list()\nreturn [listed, store.delete([]), store.delete(listed[:1])]"
    listed, first, second = far.do(again)  # a new store, as after a restart
    assert (listed, first, second) == (NAMES[1:], 1, 1)
    assert far.files() == NAMES[2:]


def test_a_file_refused_later_is_fetched_again_to_be_kept(far: Far) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES)
    code = """
    store.list()
    with store.fetch(names[:1]) as paths:
        store.quarantine(names[1], "another one")
        store.quarantine(names[0], "this one")
        inside = sorted(paths)
    store.quarantine("gone_1_ab.pt", "gone meanwhile")
    return [inside, store.delete([])]
    """
    assert far.do(code, names=NAMES) == [NAMES[:1], 2]
    kept = {path.name for path in far.home.glob("*/bad/*") if path.suffix != ".txt"}
    assert kept == set(NAMES[:2])
    assert far.files() == NAMES[2:]


def test_an_oversized_file_is_refused_unread(lfs_far: Far) -> None:
    lfs_far.do(PUT_AND_CLOSE, names=NAMES)
    code = """
    import zebfast.exchange.hub.examples as remote
    allowed, remote.MAX_EXAMPLE_FILE_BYTES = remote.MAX_EXAMPLE_FILE_BYTES, 99
    try:
        return store.list()
    finally:
        remote.MAX_EXAMPLE_FILE_BYTES = allowed
    """
    assert lfs_far.do(code) == []
    assert f"{NAMES[0]} is refused: 100 bytes" in "\n".join(lfs_far.client.said)
    assert lfs_far.do("return [store.list(), store.delete([])]") == [[], 0]
    assert lfs_far.files() == NAMES  # there is no copy of them here
    assert "GET _cdn" not in lfs_far.hub.control()["requests"]


DOWNLOADS = {
    "cut short once": ({"path": "_cdn", "action": "cut"}, True),
    "503 for a file": ({"path": "_cdn", "status": 503}, False),
    "dropped": ({"path": "/resolve/", "method": "HEAD", "action": "drop"}, None),
}


@pytest.mark.parametrize(("fault", "all_come"), DOWNLOADS.values(), ids=DOWNLOADS)
def test_downloads_that_break_are_had_the_next_time(
    lfs_far: Far, fault: dict[str, Any], all_come: bool | None
) -> None:
    lfs_far.do(PUT_AND_CLOSE, names=NAMES)
    lfs_far.hub.fault(**fault)
    first = lfs_far.do(FETCH, names=NAMES)
    said = lfs_far.client.said
    assert lfs_far.hub.control()["faults_left"] == 0
    if all_come is not None:
        assert (first == NAMES) is all_come
    assert any("download error (will retry)" in line for line in said) is (first != NAMES)
    assert lfs_far.do(FETCH, names=NAMES) == NAMES


@pytest.mark.parametrize("kind", ["dataset", "bucket"])
@pytest.mark.parametrize("action", ["cut", "drop", "status"])
@pytest.mark.parametrize("path", ["/_xorb/", "/v1/reconstructions/", "/xet-read-token"])
def test_xet_downloads_that_break_are_had_the_next_time(
    hub: Hub, repo: str, tmp_path: Path, xet_client: HubClient, kind: str, action: str, path: str
) -> None:
    far = Far(hub, xet_client, kind, repo, tmp_path)
    far.do(PUT_AND_CLOSE, names=NAMES)
    hub.fault(path, action=action, times=2)
    assert set(far.do(FETCH, names=NAMES)) <= set(NAMES)
    assert hub.control()["faults_given"] > 0
    hub.control(faults=[])
    assert far.do(FETCH, names=NAMES) == NAMES


def test_a_file_of_another_size_than_listed_is_not_handed_over(far: Far) -> None:
    far.do(PUT_AND_CLOSE, names=NAMES)
    code = """
    listed = store.list()
    writer = examples(kind, repo, "large", home)
    writer.put(names[0], lambda path: path.write_bytes(b"longer" * 100))
    assert writer.close(30) == 0
    with store.fetch(listed) as paths:
        first = sorted(paths)
    store.list()
    with store.fetch(listed) as paths:
        return [first, sorted(paths)]
    """
    assert far.do(code, names=NAMES) == [NAMES[1:], NAMES]
    assert any("came with 600 bytes instead of 100" in line for line in far.client.said)


def test_machines_with_and_without_hf_xet_read_each_other(
    hub: Hub, repo: str, tmp_path: Path, xet_client: HubClient, lfs_client: HubClient
) -> None:
    for writer, reader, name in ((xet_client, lfs_client, "x"), (lfs_client, xet_client, "l")):
        names = [f"{name}_1_aa.safetensors", f"{name}_2_bb.pt"]
        Far(hub, writer, "dataset", repo, tmp_path).do(PUT_AND_CLOSE, names=names)
        assert Far(hub, reader, "dataset", repo, tmp_path).do(FETCH, names=names) == names
